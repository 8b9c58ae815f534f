"""A FastAPI app with Ostiary embedded. Run it: uvicorn or granian --interface asgi examples.fastapi_app:app"""

from typing import Annotated

from fastapi import Depends, FastAPI

from ostiary import Ostiary, Principal
from ostiary.integrations.fastapi import Guard

auth = Ostiary("sqlite:///app.db", issuer="http://127.0.0.1:8000")
guard = Guard(auth)
app = FastAPI()
app.add_middleware(auth.middleware)  # serves /auth/* and /.well-known/*, starts and stops with the app


@app.get("/api/profile")
async def profile(me: Annotated[Principal, Depends(guard())]) -> dict[str, str]:
    return {"id": me.account_id}


@app.post("/api/admin/users")
async def create_user(me: Annotated[Principal, Depends(guard(role="admin"))]) -> dict[str, str]:
    return {"created_by": me.account_id}
