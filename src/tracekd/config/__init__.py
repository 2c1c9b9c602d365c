"""Settings: params.yaml, and the entries of the other settings files that it names.

Only stage scripts read these files; the package gets the validated objects.
"""

from tracekd.config.entries import (
    DatasetFile,
    DatasetSpec,
    HubDataset,
    ModelSpec,
    RandomModel,
    WheelModel,
    load_dataset,
    load_model,
)
from tracekd.config.params import (
    AdapterSource,
    Count,
    Fraction,
    InferParams,
    LoraParams,
    Params,
    PrepareParams,
    ProbeParams,
    PromptParams,
    TeacherParams,
    TrainParams,
    WrongFacts,
    load_params,
)
from tracekd.config.pins import HubModel
from tracekd.config.reading import (
    DISTINCT,
    Settings,
    cache_folder,
    module_names,
    parse_settings,
    project_root,
    write_entry,
)
from tracekd.config.teachers import KINDS, TeacherSpec, TraceKind, load_teacher

__all__ = [
    "DISTINCT",
    "KINDS",
    "AdapterSource",
    "Count",
    "DatasetFile",
    "DatasetSpec",
    "Fraction",
    "HubDataset",
    "HubModel",
    "InferParams",
    "LoraParams",
    "ModelSpec",
    "Params",
    "PrepareParams",
    "ProbeParams",
    "PromptParams",
    "RandomModel",
    "Settings",
    "TeacherParams",
    "TeacherSpec",
    "TraceKind",
    "TrainParams",
    "WheelModel",
    "WrongFacts",
    "cache_folder",
    "load_dataset",
    "load_model",
    "load_params",
    "load_teacher",
    "module_names",
    "parse_settings",
    "project_root",
    "write_entry",
]
