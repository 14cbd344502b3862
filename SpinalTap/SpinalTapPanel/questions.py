"""Questions to the user: hand edits, a patient who has moved, which level a vertebra is, and which scan is meant."""

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


def scan_menu(parent, chosen, on_scan):
    """Return a menu of the scene's volumes but `chosen()`; `on_scan` is called with the ID of the one picked."""
    menu = qt.QMenu(parent)

    def fill():
        menu.clear()
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetID() != chosen() and not node.IsA("vtkMRMLLabelMapVolumeNode"):
                menu.addAction(node.GetName()).setData(node.GetID())
        if not menu.actions():
            menu.addAction(_("There is no other scan in the scene")).enabled = False

    menu.connect("aboutToShow()", fill)
    menu.connect("triggered(QAction*)", lambda action: on_scan(action.data()))
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
