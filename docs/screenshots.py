"""Makes docs/report_*.png of a page: python docs/screenshots.py [PAGE], by default report.html.

Needs the extra `test`, and Chromium or Chrome.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

#: Name -> address within the page, colour scheme, keys to press.
VIEWS = {
    "overview": ("#v=overview", "light", []),
    "question": ("#v=questions&t=wrong&a=wrong&c=two-supporting-facts", "light", ["j"]),
    "dark": ("#v=questions&t=right&a=right", "dark", ["j"]),
}


def main(path: Path) -> None:
    """Write one picture for each view."""
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=next(found), args=["--no-sandbox"])
        for name, (address, scheme, keys) in VIEWS.items():
            size = {"width": 1280, "height": 800}
            page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
            page.goto(path.resolve().as_uri() + address)
            page.wait_for_selector("figure, .row")
            for key in keys:
                page.keyboard.press(key)
                page.wait_for_selector(".student")
            page.screenshot(path=Path(__file__).with_name(f"report_{name}.png"))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "report.html"))
