"""Questions to the user: hand edits, a patient who has moved, which level a vertebra is, which scan or folder."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _


def ask_about_edits(names):
    """Ask what to do with the segments `names`, which were edited by hand; in Slicer's test mode, keep a copy."""
    from SpinalTapLib.session.state import EditAnswer

    if slicer.app.testingEnabled():
        return EditAnswer.KEEP_COPY
    clicked = _ask(
        qt.QMessageBox.Question,
        _("These segments were changed by hand: {names}.").format(names=", ".join(names)),
        _("The new result replaces them. Keep a copy of the changed ones?"),
        (_("Keep a copy"), _("Discard them")),
    )
    return (EditAnswer.KEEP_COPY, EditAnswer.DISCARD, EditAnswer.CANCEL)[clicked]


def ask_about_motion(sentence):
    """Say that the patient has moved, and ask whether the levels shall follow; in test mode, leave them."""
    from SpinalTapLib.session.state import MotionAnswer

    if slicer.app.testingEnabled():
        return MotionAnswer.LEAVE
    clicked = _ask(
        qt.QMessageBox.Warning,
        sentence,
        _("This is estimated from the images. Should the levels follow the motion?"),
        (_("Follow the motion"), _("Leave the positions")),
    )
    return (MotionAnswer.FOLLOW, MotionAnswer.LEAVE, MotionAnswer.CANCEL)[clicked]


def _ask(icon, text, question, answers):
    """Show a question with two answers and Cancel; return the position of the one chosen, 2 for Cancel."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setIcon(icon)
    box.setWindowTitle(_("SpinalTap"))
    box.setText(text)
    box.setInformativeText(question)
    roles = (qt.QMessageBox.AcceptRole, qt.QMessageBox.DestructiveRole)
    buttons = [box.addButton(answer, role) for answer, role in zip(answers, roles)]
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(buttons[0])
    box.exec_()
    clicked = box.clickedButton()
    return next((i for i, button in enumerate(buttons) if button == clicked), len(buttons))


def ask_for_folder(title, start):
    """Ask for a folder, beginning in the folder `start`; return its path, or an empty text if the user cancels."""
    return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, start)


def scan_menu(parent, is_offered, nothing, on_chosen, last=None):
    """Return a menu of scans of the scene.

    Parameters
    ----------
    parent : QWidget
        The button that opens it.
    is_offered : callable
        Called with a volume's node ID; returns whether it is in the menu.
    nothing : str
        What the menu says if it has none.
    on_chosen : callable
        Called with the node ID of the one that the user picks.
    last : tuple, optional
        Text of one more entry, and what `on_chosen` is called with if the user picks it.
    """
    menu = qt.QMenu(parent)

    def fill():
        menu.clear()
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if is_offered(node.GetID()) and not node.IsA("vtkMRMLLabelMapVolumeNode"):
                menu.addAction(node.GetName()).setData(node.GetID())
        if not menu.actions():
            menu.addAction(nothing).enabled = False
        if last is not None:
            menu.addSeparator()
            menu.addAction(last[0]).setData(last[1])

    menu.connect("aboutToShow()", fill)
    menu.connect("triggered(QAction*)", lambda action: on_chosen(action.data()))
    return menu


def level_menu(parent, on_level):
    """Return a menu of all levels with a submenu per region; `on_level` is called with the chosen name."""
    from SpinalTapLib.spine.levels import LEVELS

    menu = qt.QMenu(parent)
    regions = (("S", _("Sacrum")), ("L", _("Lumbar")), ("T", _("Thoracic")), ("C", _("Cervical")))
    for letter, region in regions:
        part = menu.addMenu(region)
        for level in LEVELS:
            if level.name.startswith(letter):
                part.addAction(level.name)
    menu.connect("triggered(QAction*)", lambda action: on_level(action.text))
    return menu
