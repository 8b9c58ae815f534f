"""`ostiary openapi`."""

from ostiary.cli.options import Options
from ostiary.cli.output import print_json


def openapi(*, options: Options = Options()) -> None:
    """Print the server's OpenAPI 3.1 document.

    The output is JSON with or without --json.
    """
    print_json(options.installation().openapi())
