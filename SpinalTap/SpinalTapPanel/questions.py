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
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setIcon(qt.QMessageBox.Question)
    box.setWindowTitle(_("SpinalTap"))
    box.setText(_("These segments were changed by hand: {names}.").format(names=", ".join(names)))
    box.setInformativeText(_("The new result replaces them. Keep a copy of the changed ones?"))
    keep = box.addButton(_("Keep a copy"), qt.QMessageBox.AcceptRole)
    discard = box.addButton(_("Discard them"), qt.QMessageBox.DestructiveRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(keep)
    box.exec_()
    clicked = box.clickedButton()
    answers = ((keep, EditAnswer.KEEP_COPY), (discard, EditAnswer.DISCARD))
    return next((answer for button, answer in answers if button == clicked), EditAnswer.CANCEL)


def ask_about_motion(sentence):
    """Say that the patient has moved, and ask whether the levels shall follow; in test mode, leave them."""
    from SpinalTapLib.session.state import MotionAnswer

    if slicer.app.testingEnabled():
        return MotionAnswer.LEAVE
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.setIcon(qt.QMessageBox.Warning)
    box.setWindowTitle(_("SpinalTap"))
    box.setText(sentence)
    box.setInformativeText(_("This is estimated from the images. Shall the levels follow the motion?"))
    follow = box.addButton(_("Follow the motion"), qt.QMessageBox.AcceptRole)
    leave = box.addButton(_("Leave the positions"), qt.QMessageBox.DestructiveRole)
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(follow)
    box.exec_()
    clicked = box.clickedButton()
    answers = ((follow, MotionAnswer.FOLLOW), (leave, MotionAnswer.LEAVE))
    return next((answer for button, answer in answers if button == clicked), MotionAnswer.CANCEL)


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
