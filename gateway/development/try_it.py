"""The commands to try that `tong up` prints when it is ready; they work as printed, in a shell in any folder.

Secrets are read from `demo.json` and reach curl through a pipe: not the scrollback, not a command line.
"""

import shlex
import sys
from pathlib import Path
from string import Template
from typing import Final

BEGIN: Final = "  # one scan: a member's code, then the hotel's till"
END: Final = "; echo\n"

_TEXT: Final = Template("""\

  Tong serves at   $base_url      (what it can do: $base_url/docs)
  Pages            $pages
  The whole way    TONG_HOME=$home $tong demo
  Keys, tokens     $demo

$begin
  demo=$demo_quoted
  bearer() { $python -c 'import json,sys; d=json.load(open(sys.argv[1])); \
print("header = \\"Authorization: Bearer " + d[sys.argv[2]][0][sys.argv[3]] + "\\"")' "$$demo" "$$@"; }
  code=$$(bearer members access_token | curl -sS -K - -H 'Content-Type: application/json' \
-d '{"count":1}' $base_url/v1/me/codes | $python -c 'import json,sys; print(json.load(sys.stdin)["codes"][0]["code"])')
  bearer terminals api_key | curl -sS -K - -H 'Content-Type: application/json' -H "Idempotency-Key: try-$$(date +%s)" \
-d '{"code":"'"$$code"'","legs":[{"kind":"points","points":100}],\
"bill":{"reference":"TRY-1","amount_minor":25800,"currency":"CNY"}}' $base_url/v1/verify$end""")


def what_to_try(base_url: str, demo: Path, pages: str | None) -> str:
    """Return the text. `pages` is the address that signs in by itself; None where it may not be printed."""
    home, tong = shlex.quote(str(demo.parent)), shlex.quote(str(Path(sys.executable).with_name("tong")))
    return _TEXT.substitute(
        base_url=base_url,
        demo=demo,
        demo_quoted=shlex.quote(str(demo)),
        home=home,
        pages=pages or f"{base_url}/      (with sign-in: TONG_HOME={home} {tong} demo pages prints the address)",
        begin=BEGIN,
        end=END,
        python=shlex.quote(sys.executable),
        tong=tong,
    )
