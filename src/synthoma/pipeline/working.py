"""Where the work of a block of Python runs: more workers, other machines, and what is kept of finished jobs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Unpack

from synthoma.core.config import settled
from synthoma.core.fanned import Fan, FanoutConfig, check_fanout, fanned
from synthoma.pipeline.keywords import WorkersKeywords
from synthoma.pipeline.python_words import in_python
from synthoma.pipeline.signature import with_settings


@with_settings(FanoutConfig)
@in_python
def workers(*, config: FanoutConfig | None = None, **settings: Unpack[WorkersKeywords]) -> AbstractContextManager[Fan]:
    """Say where everything in a block runs: ``with synthoma.workers(backend="dask", scheduler="tcp://head:8786"):``.

    Outputs have the same bytes wherever jobs ran. With ``parts`` every finished job is kept there, and a block that was
    stopped goes on where it was. With ``shard`` too, only that share of the jobs is done: the block ends at the command
    that it belongs to, without an output, and the same block without ``shard`` puts all shares together.

    Args:
        config: the settings; or give single ones by name.
        settings: fields of ``FanoutConfig``.

    Returns:
        What stands behind ``with``; its ``done`` says what was done of a share.

    Raises:
        ConfigError: settings that do not fit together; at the first work, a cluster that does not answer.
    """
    chosen = settled(FanoutConfig, config, settings)
    check_fanout(chosen)
    return fanned(chosen)
