"""Plain tables of results: HTML in a notebook, aligned text in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from redislab.views.fallback import cell_text, table_html


@dataclass(frozen=True)
class Table:
    """Rows under a head; each cell is text, a number, a boolean or None.

    A column is set flush right where all its cells are numbers.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a row that is longer or shorter than the head."""
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"a row of {len(row)} cells under a head of {len(self.head)}")

    @classmethod
    def of(cls, items: Iterable[Any], *, caption: str = "") -> Table:
        """Make a table of dataclasses of one kind, or of dicts with the same keys."""
        plain = [asdict(item) if is_dataclass(item) else dict(item) for item in items]  # type: ignore[arg-type]
        names = tuple(plain[0]) if plain else ()
        head = tuple(name.replace("_", " ") for name in names)
        return cls(head, tuple(tuple(item[name] for name in names) for item in plain), caption)

    @property
    def texts(self) -> list[tuple[str, ...]]:
        """The cells as they are shown."""
        return [tuple(cell_text(cell) for cell in row) for row in self.rows]

    @property
    def number_columns(self) -> list[int]:
        """The columns that hold nothing but numbers."""
        return [
            at
            for at in range(len(self.head))
            if self.rows
            and all(
                isinstance(r[at], int | float) and not isinstance(r[at], bool) for r in self.rows
            )
        ]

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.caption or ', '.join(self.head)}: none"
        lines = [self.head, *self.texts]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.head))]
        right = set(self.number_columns)
        texts = [
            "  ".join(
                cell.rjust(width) if at in right else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        texts.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([self.caption, *texts] if self.caption else texts)

    def _repr_html_(self) -> str:
        import html

        caption = f'<p class="rl-title">{html.escape(self.caption)}</p>' if self.caption else ""
        if not self.rows:
            return f"{caption}<p>none</p>"
        return caption + table_html(self.head, self.texts, numbers=self.number_columns)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))
