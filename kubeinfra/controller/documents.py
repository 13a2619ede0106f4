"""JSON documents with a schema number, as the controller's directory has them, read back. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kubeinfra.errors import KubeinfraError

Model = TypeVar("Model", bound=BaseModel)


def parse(text: str | bytes, path: Path, model: type[Model], schema: int, damaged: str) -> Model:
    """
    What a document says.

    KubeinfraError, naming `path`: it is of a newer schema than `schema`; or it cannot be read: then `damaged` is the
    sentence, with `{reason}` in it.
    """
    try:
        document = json.loads(text)
        found = document["schema"]
        if isinstance(found, int) and found > schema:
            raise KubeinfraError(
                f"{path}: has schema {found}, this kubeinfra reads up to {schema}: a newer one has written it; "
                "go on with that one"
            )
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except KeyError:
        reason = "no schema number"
    except (ValueError, TypeError) as error:
        reason = str(error)
    raise KubeinfraError(f"{path}: {damaged.format(reason=reason)}")
