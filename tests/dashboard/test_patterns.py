"""The page finds by a pattern what the service finds by it."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

from playwright.sync_api import Browser

from tests.servers import CHECKOUT

SIGNS = "ab-/*?[]!^.é\\"


def test_a_pattern_matches_as_in_the_service(browser: Browser) -> None:
    generator, cases = random.Random(1), [("sensor-9*", "sensor-90"), ("[z-a]", "b"), ("web[*]", "web*"), ("[!]", "?")]
    for _ in range(2000):
        pattern, name = ("".join(generator.choices(SIGNS, k=generator.randrange(most))) for most in (7, 5))
        cases.append((pattern, name))
    module = (CHECKOUT / "dashboard" / "modules" / "patterns.js").read_text().replace("export ", "")
    with browser.new_context() as context:
        found = context.new_page().evaluate(
            """([module, cases]) => {
                const matcher = new Function(`${module}; return matcher;`)();
                return cases.map(([pattern, name]) => matcher(pattern)(name));
            }""",
            [module, cases],
        )
    assert [(case, there) for case, there in zip(cases, found, strict=True) if there != fnmatchcase(*case[::-1])] == []
