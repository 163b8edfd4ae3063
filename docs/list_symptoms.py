"""Write the table of docs/diagnose.md: every code, in the order in which findings are told.

python docs/list_symptoms.py
"""

from __future__ import annotations

from pathlib import Path

from fusetrain.diagnose.symptoms import SYMPTOMS

PAGE = Path(__file__).with_name("diagnose.md")
BEGIN, END = "<!-- codes: begin -->", "<!-- codes: end -->"


def table() -> str:
    """Return the table of codes in Markdown."""
    lines = ["| code | about | found | why it does harm |", "|---|---|---|---|"]
    lines += [
        f"| `{code}` | {symptom.group} | {symptom.meaning} | {symptom.cause} |"
        for code, symptom in SYMPTOMS.items()
    ]
    return "\n".join(lines)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
