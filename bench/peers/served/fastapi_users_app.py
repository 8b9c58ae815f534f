"""fastapi-users with sessions in the database, as its documentation sets it up: POST /auth/login, GET /me."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase, SQLAlchemyBaseAccessTokenTableUUID
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


class UserManager(UUIDIDMixin, BaseUserManager):
    reset_password_token_secret = verification_token_secret = os.urandom(32).hex()


engine = create_async_engine(os.environ["PEER_DATABASE"])
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as opened:
        yield opened


async def users(opened=Depends(session)):
    yield SQLAlchemyUserDatabase(opened, User)


async def manager(stored=Depends(users)):
    yield UserManager(stored)


async def tokens(opened=Depends(session)):
    yield SQLAlchemyAccessTokenDatabase(opened, AccessToken)


def strategy(stored=Depends(tokens)) -> DatabaseStrategy:
    return DatabaseStrategy(stored, lifetime_seconds=3600)


backend = AuthenticationBackend("database", BearerTransport("auth/login"), strategy)
guard = FastAPIUsers(manager, [backend])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.exec_driver_sql("pragma journal_mode = wal")
        await connection.run_sync(Base.metadata.create_all)
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(guard.get_auth_router(backend), prefix="/auth")
app.include_router(guard.get_register_router(schemas.BaseUser, schemas.BaseUserCreate), prefix="/auth")


@app.get("/me")
async def me(user=Depends(guard.current_user(active=True))) -> dict[str, str]:
    return {"email": user.email}
