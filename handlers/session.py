"""Citizens' log-ins over HTTP: /v1/session, /v1/me/log-ins, and what one logs in with and is reached by."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.session_views import (
    CallerView,
    DeviceForm,
    DevicesView,
    DeviceView,
    IdentityProofForm,
    LogInsEnded,
    LogInsView,
    LogInView,
    MeansView,
    NewHolderForm,
    PhoneCodeForm,
    PhoneForm,
    ProofView,
    RefreshForm,
    TokensView,
    WeChatCodeForm,
    WeChatForm,
)
from server.domain.citizens import Client
from server.domain.log_in import Terminal
from server.services.devices import Devices
from server.services.log_in import LogIns, ProofNeeded
from server.services.means import Means


class _LogInHandler(ApiHandler):
    """What the handlers of log-ins share."""

    def initialize(self, log_ins: LogIns) -> None:
        """`log_ins` holds the verbs."""
        self.log_ins = log_ins


class WeChatSessionHandler(_LogInHandler):
    """The mini-program's door."""

    async def post(self) -> None:
        """Log in with a code of `wx.login`."""
        form = self.given(WeChatForm)
        terminal = Terminal(Client.MINIPROGRAM, form.label)
        self.respond(TokensView.of(await self.log_ins.by_wechat(form.code, terminal)), 201)


class PhoneSessionHandler(_LogInHandler):
    """The app's door."""

    async def post(self) -> None:
        """Log in with a one-time code, or hear that more is needed."""
        form = self.given(PhoneForm)
        entered = await self.log_ins.by_phone(form.request, form.code, Terminal(form.client, form.label, form.device))
        if isinstance(entered, ProofNeeded):
            self.respond(ProofView.of(entered), 202)
        else:
            self.respond(TokensView.of(entered), 201)


class ProofHandler(_LogInHandler):
    """Where more is shown."""

    async def post(self) -> None:
        """Log in with a ticket and the end of the ID number."""
        form = self.given(IdentityProofForm)
        self.respond(TokensView.of(await self.log_ins.prove(form.ticket, form.id_tail, form.device)), 201)


class NewHolderHandler(_LogInHandler):
    """Where a number gets its new owner."""

    async def post(self) -> None:
        """Log in as somebody else than the account that has the number."""
        form = self.given(NewHolderForm)
        self.respond(TokensView.of(await self.log_ins.as_new_holder(form.ticket, form.device)), 201)


class RefreshHandler(_LogInHandler):
    """Where tokens are changed for new ones."""

    async def post(self) -> None:
        """Use up a refresh token."""
        self.respond(TokensView.of(await self.log_ins.refresh(self.given(RefreshForm).refresh_token)))


class SessionHandler(ApiHandler):
    """The log-in of the one who asks."""

    def initialize(self, log_ins: LogIns, means: Means) -> None:
        """`log_ins` and `means` hold the verbs."""
        self.log_ins = log_ins
        self.means = means

    async def get(self) -> None:
        """Who one is."""
        self.respond(CallerView.of(self.caller.account, await self.means.held(self.caller), self.caller.log_in))

    async def delete(self) -> None:
        """Log out."""
        await self.log_ins.end(self.caller, self.caller.log_in)
        self.set_status(204)
        self.finish()


class LogInsHandler(_LogInHandler):
    """All log-ins of the one who asks."""

    async def get(self) -> None:
        """The live ones."""
        live = self.log_ins.live(self.caller.account)
        self.respond(LogInsView(log_ins=tuple(LogInView.of(one, self.caller.log_in) for one in live)))

    async def delete(self) -> None:
        """Log out everywhere."""
        self.respond(LogInsEnded(ended=await self.log_ins.end_all(self.caller)))


class OneLogInHandler(_LogInHandler):
    """One of the own log-ins."""

    async def delete(self, log_in: str) -> None:
        """End it, wherever it is."""
        await self.log_ins.end(self.caller, log_in)
        self.set_status(204)
        self.finish()


class _MeansHandler(ApiHandler):
    """What the handlers of means share."""

    def initialize(self, means: Means) -> None:
        """`means` holds the verbs."""
        self.means = means


class PhoneHandler(_MeansHandler):
    """The verified phone."""

    async def post(self) -> None:
        """Bind the phone of a one-time code."""
        form = self.given(PhoneCodeForm)
        self.respond(MeansView.of(await self.means.bind_phone(self.caller, form.request, form.code)))

    async def delete(self) -> None:
        """Take it away."""
        await self.means.unbind_phone(self.caller)
        self.set_status(204)
        self.finish()


class WeChatPhoneHandler(_MeansHandler):
    """The verified phone, by WeChat."""

    async def post(self) -> None:
        """Bind the phone that WeChat has verified."""
        self.respond(MeansView.of(await self.means.bind_phone_by_wechat(self.caller, self.given(WeChatCodeForm).code)))


class WeChatHandler(_MeansHandler):
    """WeChat."""

    async def post(self) -> None:
        """Bind the WeChat account of a `wx.login` code."""
        self.respond(MeansView.of(await self.means.bind_wechat(self.caller, self.given(WeChatCodeForm).code)))


class _DeviceHandler(ApiHandler):
    """What the handlers of devices share."""

    def initialize(self, devices: Devices) -> None:
        """`devices` holds the verbs."""
        self.devices = devices


class DevicesHandler(_DeviceHandler):
    """Apps that get push notices."""

    async def get(self) -> None:
        """The own ones."""
        self.respond(DevicesView(devices=tuple(map(DeviceView.of, await self.devices.list(self.caller.id)))))

    async def put(self) -> None:
        """Register the token of this log-in's app."""
        form = self.given(DeviceForm)
        self.respond(DeviceView.of(await self.devices.register(self.caller, form.token, form.platform, form.label)))


class DeviceHandler(_DeviceHandler):
    """One of them."""

    async def get(self, device: str) -> None:
        """What is known of it."""
        self.respond(DeviceView.of(await self.devices.get(self.caller.id, device)))

    async def delete(self, device: str) -> None:
        """No push notices there any more."""
        await self.devices.remove(self.caller.id, device)
        self.set_status(204)
        self.finish()
