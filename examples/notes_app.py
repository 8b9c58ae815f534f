"""A FastAPI app with its own account fields, a listener and permission checks.

Run it: granian --interface asgi examples.notes_app:app
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

from ostiary import Ostiary, Principal
from ostiary.api import WRITABLE, Event
from ostiary.integrations.fastapi import Guard
from ostiary.settings import SessionSettings


@dataclass(kw_only=True)
class Profile:
    nickname: Annotated[str, WRITABLE] = ""  # users can change this field
    plan: str = "free"  # only the application can change this one


auth = Ostiary(
    "sqlite:///notes.db",
    SessionSettings(limit=3),
    issuer="http://127.0.0.1:8000",
    profile=Profile,
)
guard = Guard(auth)
app = FastAPI()
app.add_middleware(auth.middleware)

welcomed: list[str] = []


@auth.on("accounts.registered")
async def welcome(event: Event) -> None:
    account = await auth.accounts.get(event.account_id or "")
    welcomed.append(account.email)


@app.get("/notes")
async def notes(me: Annotated[Principal, Depends(guard())]) -> dict[str, str]:
    account = await auth.accounts.get(me.account_id)
    return {"notes of": account.profile.nickname if account.profile else ""}


def staff(me: Annotated[Principal, Depends(guard())]) -> Principal:
    """A custom check: only moderators and admins."""
    if not (me.has_role("moderator") or me.has_role("admin")):
        raise HTTPException(403, "This needs the role moderator or admin.")
    return me


@app.get("/reports")
async def reports(me: Annotated[Principal, Depends(staff)]) -> dict[str, str]:
    return {"reports for": me.account_id}


@app.post("/people/{account_id}/disable")
async def disable(account_id: str, me: Annotated[Principal, Depends(guard(role="admin"))]) -> dict[str, bool]:
    account = await auth.acting_as(me).accounts.disable(account_id)  # limited to the caller's own permissions
    return {"disabled": account.disabled}
