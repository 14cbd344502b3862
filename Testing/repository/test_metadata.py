"""What the Extensions Catalog, CMake and the packages are told agrees with itself and with the tree."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import subprocess

import pytest
from paths import ROOT

SKIPPED = {"__pycache__", ".pytest_cache"}


def _read(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def _cmake_list(text, name):
    """The items of ``set(name a b c)``, quotes removed; comments are not items."""
    body = re.search(rf'set\(\s*{name}\b((?:\s|"[^"]*"|[^\s")])*)\)', re.sub(r"(?m)^\s*#.*$", "", text))
    assert body, f"set({name} ...) is missing"
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', body.group(1))]


def _tree(folder, ignored=("CMakeLists.txt",)):
    base = ROOT / folder
    return {
        path.relative_to(base).as_posix()
        for path in base.rglob("*")
        if path.is_file()
        and not SKIPPED & set(path.relative_to(base).parts)
        and path.suffix not in (".pyc", ".pyo")
        and path.name not in ignored
    }


def _s4ext():
    facts = {}
    for line in _read("SpinalTap.s4ext").splitlines():
        if line.strip() and not line.startswith("#"):
            key, _, value = line.partition(" ")
            assert key not in facts, f"{key} stands twice"
            facts[key] = value.strip()
    return facts


def _cmake_fact(name):
    return " ".join(_cmake_list(_read("CMakeLists.txt"), f"EXTENSION_{name}"))


@pytest.mark.parametrize(
    ("folder", "lists"),
    [
        ("SpinalTap", ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES")),
        ("SpinalTapLib", ("SpinalTapLib_SCRIPTS", "SpinalTapLib_RESOURCES")),
        ("Resources", ("SpinalTapResources_FILES",)),
    ],
)
def test_cmake_lists_every_file_that_ships_and_no_other(folder, lists):
    text = _read(folder, "CMakeLists.txt")
    items = [item for name in lists for item in _cmake_list(text, name)]
    listed, there = set(items), _tree(folder)
    assert len(items) == len(listed), f"{folder}/CMakeLists.txt names a file twice"
    assert not there - listed, f"{folder}/CMakeLists.txt does not list: {', '.join(sorted(there - listed))}"
    assert not listed - there, f"{folder}/CMakeLists.txt lists what is not there: {', '.join(sorted(listed - there))}"


@pytest.mark.parametrize("folder", ["SpinalTap", "SpinalTapLib"])
def test_every_python_file_is_listed_as_a_script_so_that_it_is_compiled_and_no_other_is(folder):
    name = "MODULE_PYTHON_SCRIPTS" if folder == "SpinalTap" else "SpinalTapLib_SCRIPTS"
    scripts = set(_cmake_list(_read(folder, "CMakeLists.txt"), name))
    assert scripts == {name for name in _tree(folder) if name.endswith(".py")}


def test_nothing_but_the_module_stands_beside_the_module():
    assert sorted(path.name for path in (ROOT / "SpinalTap").glob("*.py")) == ["SpinalTap.py"]


def test_the_three_metadata_files_agree():
    s4ext, catalog = _s4ext(), json.loads(_read("SpinalTap.json"))
    for key, name in (
        ("homepage", "HOMEPAGE"),
        ("category", "CATEGORY"),
        ("contributors", "CONTRIBUTORS"),
        ("description", "DESCRIPTION"),
        ("iconurl", "ICONURL"),
        ("screenshoturls", "SCREENSHOTURLS"),
        ("depends", "DEPENDS"),
        ("build_subdirectory", "BUILD_SUBDIRECTORY"),
        ("status", "STATUS"),
        ("enabled", "ENABLED"),
        ("tier", "TIER"),
    ):
        assert s4ext[key] == _cmake_fact(name), key
    assert s4ext["scm"] == catalog["scm_type"]
    assert s4ext["scmurl"] == catalog["scm_url"]
    assert s4ext["scmrevision"] == catalog["scm_revision"]
    assert s4ext["category"] == catalog["category"]
    assert s4ext["depends"].split() == catalog["build_dependencies"]
    assert s4ext["build_subdirectory"] == catalog["build_subdirectory"]
    assert bool(int(s4ext["enabled"])) is catalog["enabled"]
    assert int(s4ext["tier"]) == catalog["tier"]


def test_catalog_entry_has_what_the_schema_wants_and_nothing_else():
    catalog = json.loads(_read("SpinalTap.json"))
    assert {"$schema", "category", "scm_url"} <= set(catalog)
    assert set(catalog) <= {
        "$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies", "build_subdirectory",
        "enabled", "tier",
    }  # fmt: skip
    assert catalog["$schema"].split("#")[0].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json")
    repository = catalog["scm_url"].rsplit("/", 1)[1].removesuffix(".git")
    assert repository == "SlicerSpinalTap"
    assert catalog["tier"] in (1, 3, 5)


def test_index_checks_find_name_and_addresses_in_cmake():
    text = _read("CMakeLists.txt")
    # The regular expressions of the Extensions Index' own check.
    assert re.findall(r"project\s*\(\s*([^\s\)\n\r]+)", text, re.I | re.M)[0] == "SpinalTap"
    icon = re.findall(r'set\s*\(EXTENSION_ICONURL\s*"([^"]+)"[ ]*\)', text, re.I | re.M)
    shots = re.findall(r'set\s*\(EXTENSION_SCREENSHOTURLS\s*"([^"]+)"\)', text, re.I | re.M)
    assert len(icon) == len(shots) == 1
    for address in (*icon, *shots[0].split()):
        assert address.startswith("https://raw.githubusercontent.com/")
        branch_path = address.split("/SlicerSpinalTap/main/", 1)[1]
        assert (ROOT / branch_path).is_file(), f"{address} points at no file of the repository"
        assert branch_path.endswith((".png", ".jpg", ".gif"))
    assert (ROOT / "LICENSE").is_file()


def test_metadata_has_unix_line_ends():
    for name in ("CMakeLists.txt", "SpinalTap.json", "SpinalTap.s4ext"):
        assert b"\r" not in (ROOT / name).read_bytes(), name


def test_icon_is_a_128_pixel_picture():
    header = (ROOT / "Resources" / "Icons" / "SpinalTap.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")) == (128, 128)


def test_requirements_name_nothing_that_every_slicer_or_the_pytorch_extension_brings():
    lines = [line.split("#")[0].strip() for line in _read("Resources", "requirements.txt").splitlines()]
    names = {re.split(r"[<>=!~\[ ]", line)[0].lower() for line in lines if line}
    assert names == {"scikit-image", "pydicom"}
    assert not any("==" in line for line in lines), "lower bounds, no pins"
    project = _read("pyproject.toml")
    for line in filter(None, lines):
        assert f'"{line}"' in project, f"pyproject.toml and Resources/requirements.txt disagree about {line}"


def test_an_older_slicer_with_python_3_9_can_read_everything_and_so_say_that_it_is_too_old():
    for path in sorted((ROOT / "SpinalTapLib").rglob("*.py")) + sorted((ROOT / "SpinalTap").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            new = {"zip": {"strict"}, "dataclass": {"slots", "kw_only"}}.get(name, set())
            assert not new & {keyword.arg for keyword in call.keywords}, f"{path.name}:{call.lineno}"
            if name in ("isinstance", "issubclass"):
                assert not isinstance(call.args[1], ast.BinOp), f"{path.name}:{call.lineno}"


def test_all_say_the_same_oldest_slicer():
    from SpinalTapLib.installation import OLDEST_SLICER

    oldest = ".".join(map(str, OLDEST_SLICER))
    assert f"Slicer](https://download.slicer.org) {oldest} or later" in _read("README.md")
    assert f"VERSION_LESS {oldest})" in _read("CMakeLists.txt")


def test_no_file_of_the_library_imports_qt_and_only_the_scene_imports_slicer():
    for path in sorted((ROOT / "SpinalTapLib").rglob("*.py")):
        imported = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add((node.module or "").split(".")[0])
        assert not imported & {"qt", "ctk", "PySide6", "PyQt5", "PyQt6"}, path.name
        assert "slicer" not in imported or "scene" in path.parts, path.name


def test_texts_of_the_module_can_be_translated():
    """`_()` takes plain strings only: whatever is put in later goes through format, with named places."""
    seen = 0
    for path in sorted((ROOT / "SpinalTap").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                seen += 1
                (text,) = node.args
                assert isinstance(text, ast.Constant) and isinstance(text.value, str), f"{path.name}:{node.lineno}"
                assert "{}" not in text.value, f"{path.name}:{node.lineno}"
    assert seen > 30


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("cc")), reason="needs cmake and a C compiler")
def test_cmake_builds_and_lays_the_three_folders_side_by_side(tmp_path):
    """Real CMake on the real lists; Slicer's macros are replaced by the little that they do here: copying."""
    stub = tmp_path / "slicer"
    stub.mkdir()
    (stub / "SlicerConfig.cmake").write_text(STUB_OF_SLICER)
    for name in ("use.cmake", "generate.cmake", "cpack.cmake"):
        (stub / name).write_text("")
    build = tmp_path / "build"
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), f"-DSlicer_DIR={stub}", "-Wno-dev"]
    for command in (configure, ["cmake", "--build", str(build)]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    modules = build / "lib" / "qt-scripted-modules"
    assert (modules / "SpinalTap.py").is_file()
    for folder, lists in (
        ("SpinalTapLib", ("SpinalTapLib_SCRIPTS", "SpinalTapLib_RESOURCES")),
        ("Resources", ("SpinalTapResources_FILES",)),
    ):
        text = _read(folder, "CMakeLists.txt")
        for item in (item for name in lists for item in _cmake_list(text, name)):
            assert (modules / folder / item).is_file(), item
    spec = importlib.util.spec_from_file_location("resources", modules / "SpinalTapLib" / "resources.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.resource_path("UI", "SpinalTap.ui") == modules / "Resources" / "UI" / "SpinalTap.ui"


STUB_OF_SLICER = """
set(Slicer_VERSION 5.10)
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/generate.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/cpack.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/qt-scripted-modules)
set(BUILD_TESTING ON)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown: ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file IN LISTS MODULE_SCRIPTS MODULE_RESOURCES)
    configure_file(${CMAKE_CURRENT_SOURCE_DIR}/${file} ${CMAKE_BINARY_DIR}/lib/qt-scripted-modules/${file} COPYONLY)
  endforeach()
endmacro()
macro(ctkMacroCompilePythonScript)
  cmake_parse_arguments(CTK "NO_INSTALL_SUBDIR" "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR"
    "SCRIPTS;RESOURCES" ${ARGN})
  foreach(name TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if("${CTK_${name}}" STREQUAL "")
      message(FATAL_ERROR "${name} is mandatory")
    endif()
  endforeach()
  foreach(file IN LISTS CTK_SCRIPTS CTK_RESOURCES)
    configure_file(${CMAKE_CURRENT_SOURCE_DIR}/${file} ${CTK_DESTINATION_DIR}/${file} COPYONLY)
  endforeach()
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(TEST "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS ${TEST_SCRIPT})
    message(FATAL_ERROR "no such test: ${TEST_SCRIPT}")
  endif()
endmacro()
"""
