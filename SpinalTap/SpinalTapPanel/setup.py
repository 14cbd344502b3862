"""The setup section: lists and installs missing packages; hidden when nothing is missing."""

from __future__ import annotations

import logging

import qt
import slicer
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.2"


class SetupSection:
    """The section that lists and installs missing packages.

    Parameters
    ----------
    ui : object
        The panel's widgets.
    on_change : callable
        Called after every check.
    """

    def __init__(self, ui, on_change):
        self._ui, self._on_change = ui, on_change
        self._message = ""
        self.needs = ()
        ui.setupInstallButton.connect("clicked()", self.install)
        ui.setupCheckButton.connect("clicked()", self.check)

    @property
    def problem(self):
        """Why segmentation is not possible yet, in one sentence, or an empty string."""
        missing = [need for need in self.needs if not need.met]
        return _("{what} See Setup above.").format(what=missing[0].sentence) if missing else ""

    def check(self):
        """Check again, and show the section if something is missing."""
        from SpinalTapLib.installation import check_needs

        try:
            self.needs = check_needs((slicer.app.majorVersion, slicer.app.minorVersion))
        except ValueError as problem:  # the Resources folder is missing
            logging.error(str(problem))
            self._message = str(problem)
        missing = [need for need in self.needs if not need.met]
        lines = [f"{'✓' if need.met else '✗'} {need.sentence}" for need in self.needs]
        self._ui.setupLabel.text = "<br>".join([*lines, *filter(None, [self._message])])
        self._ui.setupInstallButton.enabled = any(need.key not in ("weights", "slicer") for need in missing)
        self._ui.setupSection.visible = bool(missing or self._message)
        self._on_change()

    def install(self):
        """Install missing packages, after a click and a confirmation by the user."""
        self._message = ""
        missing = {need.key for need in self.needs if not need.met}
        try:
            if "torch" in missing:
                self._install_torch()
            if missing - {"torch", "weights", "slicer"}:
                self._install_packages()
        except Exception as problem:  # pip and its helpers raise many kinds of errors
            logging.exception("Installing failed")
            self._message = _("The installation did not work: {reason}").format(reason=problem)
        qt.QApplication.processEvents()
        self.check()

    def _install_torch(self):
        try:
            import PyTorchUtils
        except ImportError:
            self._message = _(
                "Install the extension PyTorch with the Extensions Manager, restart Slicer, and open this module "
                "again. The extension chooses the right PyTorch for this computer."
            )
            return
        logic = PyTorchUtils.PyTorchUtilsLogic()
        if not logic.torchInstalled():
            logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT)

    @staticmethod
    def _install_packages():
        from SpinalTapLib.resources import resource_path

        path = str(resource_path("requirements.txt"))
        try:
            from slicer import packaging
        except ImportError:  # before Slicer 5.11
            question = _("SpinalTap needs scikit-image. Download and install it now?")
            if slicer.util.confirmOkCancelDisplay(question):
                slicer.util.pip_install(["-r", path])
            return
        packaging.pip_ensure(packaging.load_requirements(path), requester="SpinalTap")
