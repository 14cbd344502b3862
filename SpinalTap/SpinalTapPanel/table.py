"""Fill the results table: one row per vertebra, from the top of the spine down."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

LINES_SHOWN = 14  # longer tables scroll
NOTE_LINES = 2  # of a note in the table; the tooltip shows the whole note
ICON_PX = 12
CONFIDENCE_COLOURS = {"sure": (46, 158, 91), "likely": (224, 161, 0), "check": (214, 69, 69)}
UNKNOWN_COLOUR = (128, 128, 128)


class ResultsTable:
    """A QTableWidget filled with `SpinalTapLib.spine.summary.Row`.

    Parameters
    ----------
    widget : QTableWidget
        The table in the panel.
    on_chosen : callable
        Called with a row when the user clicks it or moves to it with the keys.
    on_selection : callable
        Called when the selection changes.
    """

    def __init__(self, widget, on_chosen, on_selection):
        self._widget, self._on_chosen, self._on_selection = widget, on_chosen, on_selection
        self._rows = ()
        headers = (_("Level"), _("Confidence"), _("Height"), _("Note"))
        widget.setColumnCount(len(headers))
        widget.setHorizontalHeaderLabels(list(headers))
        widget.verticalHeader().setVisible(False)
        lines = widget.verticalHeader()
        lines.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        lines.maximumSectionSize = NOTE_LINES * qt.QFontMetrics(widget.font).height() + 4
        for column in range(3):
            widget.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        widget.horizontalHeader().setSectionResizeMode(3, qt.QHeaderView.Stretch)
        widget.horizontalHeader().setHighlightSections(False)
        self._limit_height()
        widget.connect("currentCellChanged(int,int,int,int)", self._moved)
        widget.connect("cellClicked(int,int)", self._clicked)
        widget.connect("itemSelectionChanged()", on_selection)

    @property
    def chosen(self):
        """The selected rows, from the top down."""
        indices = {index.row() for index in self._widget.selectionModel().selectedRows()}
        return tuple(row for position, row in enumerate(self._rows) if position in indices)

    def fill(self, rows):
        """Show `rows`; keep the selected vertebra selected, even if its name has changed."""
        if tuple(rows) == self._rows and self._widget.rowCount:
            return
        selected = {row.index for row in self.chosen}
        self._rows = tuple(rows)
        self._widget.blockSignals(True)
        self._widget.clearSelection()
        self._widget.setRowCount(len(self._rows))
        for position, row in enumerate(self._rows):
            self._fill_line(position, row)
        kept = [position for position, row in enumerate(self._rows) if row.index in selected]
        if kept:
            self._widget.selectRow(kept[0])
        self._widget.blockSignals(False)
        self._widget.updateGeometry()
        self._on_selection()

    def _fill_line(self, position, row):
        percent = _("{words} ({percent} %)").format(words=row.confidence_words, percent=round(100 * row.confidence))
        shade = CONFIDENCE_COLOURS.get(row.confidence_words, UNKNOWN_COLOUR)
        height = _("{height} mm").format(height=f"{row.height_mm:.1f}") if row.height_mm == row.height_mm else "–"
        cells = (
            (row.level, _swatch(row.colour), qt.Qt.AlignLeft),
            (percent, dot(shade), qt.Qt.AlignLeft),
            (height, None, qt.Qt.AlignRight),
            (row.note, None, qt.Qt.AlignLeft),
        )
        for column, (text, icon, alignment) in enumerate(cells):
            item = qt.QTableWidgetItem(text)
            item.setTextAlignment(alignment | qt.Qt.AlignVCenter)
            if icon is not None:
                item.setIcon(icon)
            item.setToolTip("\n".join(filter(None, (row.note if column == 3 else "", row.doubt))))
            self._widget.setItem(position, column, item)

    def _limit_height(self):
        """Limit the height, because a whole spine would push everything else out of view."""
        line = self._widget.verticalHeader().minimumSectionSize
        header = self._widget.horizontalHeader().sizeHint.height()
        self._widget.setMaximumHeight(header + LINES_SHOWN * line + 4)

    def _moved(self, position):
        self._choose(position)

    def _clicked(self, position):
        self._choose(position)

    def _choose(self, position):
        if 0 <= position < len(self._rows):
            self._on_chosen(self._rows[position])


def _canvas():
    pixmap = qt.QPixmap(ICON_PX, ICON_PX)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    return pixmap


def _swatch(colour):
    pixmap = _canvas()
    pixmap.fill(qt.QColor(*colour))
    return _icon(pixmap)


def dot(colour):
    """Return a round icon."""
    pixmap = _canvas()
    painter = qt.QPainter()
    painter.begin(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.setPen(qt.QPen(qt.QColor(0, 0, 0, 0)))
    painter.setBrush(qt.QBrush(qt.QColor(*colour)))
    painter.drawEllipse(1, 1, ICON_PX - 2, ICON_PX - 2)
    painter.end()
    return _icon(pixmap)


def _icon(pixmap):
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)  # Qt would tint it in a selected row
    return icon
