"""Find a folder, open its register, and make what admits data into it."""

import os
from datetime import datetime
from functools import partial
from pathlib import Path

from avowal.change.draft import adopt_first_version_if_none
from avowal.collect.admission import AdmissionRules
from avowal.collect.segment import write_segment
from avowal.config import Folder, locate_folder
from avowal.ingest.line_stream import LineStream
from avowal.ingest.pipeline_factory import PipelineFactory
from avowal.keep.enforcement import build_admission_rules, effective_versions
from avowal.register.register import Register, open_register
from avowal.store.duckdb_store import STORE_FILE
from avowal.workspace.layout import JOURNALS_FOLDER


def find_folder(data_folder: Path | None = None, start: Path | None = None) -> Folder:
    """Find the folder to work in: the one that holds `avowal.toml`, at or above `start` or the working directory.

    `data_folder` takes the place of the data folder of its settings. Raises SettingsError if these are not valid.
    """
    return locate_folder((start or Path.cwd()).absolute(), data_folder, os.environ)


def open_folder_register(data_folder: Path | None = None, *, check: bool = True) -> Register:
    """Open the register of the folder that a command works in; raises as `open_register` does."""
    return open_register_of(find_folder(data_folder), check=check)


def open_register_of(
    folder: Folder, *, adopt_terms: bool = False, adopt_template: bool = True, check: bool = True
) -> Register:
    """Open the register of a folder; raises as `open_register` does.

    With `adopt_terms`, the folder's terms become the first version if there is none yet: for whoever collects; if they
    still have placeholders of the template, only with `adopt_template`.
    """
    register = open_register(
        folder.data_folder, folder.keys_folder, store_file=STORE_FILE, check_ledger=check
    )
    if adopt_terms:
        try:
            adopt_first_version_if_none(register, folder, adopt_template=adopt_template)
        except BaseException:
            register.close()
            raise
    return register


def find_admission_rules(register: Register, moment: datetime) -> list[AdmissionRules]:
    """Return what admission needs of each version that has taken effect by a moment, which must not be in the future.

    A version that is published later takes effect after the moment.
    """
    register.await_publication()
    versions = register.versions()
    effective = effective_versions(versions, moment)
    following = versions[len(effective)].effective_at if len(effective) < len(versions) else datetime.max
    return build_admission_rules(tuple(effective), following)


def create_pipeline_factory(folder: Folder, register: Register) -> PipelineFactory:
    """Return what makes pipelines under the folder's settings and versions."""
    return PipelineFactory(folder, partial(find_admission_rules, register))


def create_journal_stream(folder: Folder, register: Register, name: str, line_format: str) -> LineStream:
    """Return a stream of lines whose segments are written to the journals folder, where the owner loads them."""
    journals = folder.data_folder / JOURNALS_FOLDER
    return LineStream(
        create_pipeline_factory(folder, register),
        lambda segments: [write_segment(journals, segment) for segment in segments],
        name,
        line_format,
    )
