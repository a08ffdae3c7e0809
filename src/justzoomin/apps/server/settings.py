"""Settings of the service: every limit has its default, bounds and help text here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ServeSettings(BaseModel):
    """Limits of the service, and who may ask.

    The fields are options of `jzi serve`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str | None = Field(None, min_length=8, description="Key that clients send as bearer token, and the page asks for. "
                              "Needed to listen on other addresses than loopback. Default: the environment variable "
                              "JZI_TOKEN, which no list of processes shows.")
    cors: str | None = Field(None, description="Origins of other web pages that may ask, separated by commas, such as "
                                               "https://maps.example.org.")
    hosts: str | None = Field(None, description="Host names, separated by commas, under which the service answers without a "
                                                "token. Default: those of loopback.")
    root_path: str = Field("", pattern=r"^(/[\w.~-]+)*$", description="Path under which a proxy serves this service: /where.")
    batch_size: int = Field(16, ge=1, le=1024, description="Photos encoded at once, of all clients together.")
    max_waiting: int = Field(256, ge=1, description="Photos that may wait; more are refused with 503 and Retry-After.")
    max_photos: int = Field(64, ge=1, description="Photos in one request; more are for a job.")
    max_photo_mb: float = Field(32.0, gt=0, description="Size of a photo's file in megabytes.")
    max_body_mb: float = Field(256.0, gt=0, description="Size of a request in megabytes, except those of jobs and drives.")
    max_job_mb: float = Field(4096.0, gt=0, description="Size of a request with the photos of a job or a drive, in megabytes.")
    max_megapixels: float = Field(100.0, gt=0, description="Size of a photo in megapixels.")
    upload_idle_s: float = Field(20.0, gt=0, description="Seconds without a byte of a request's body, then 408; and for the "
                                                            "head of a request.")
    upload_s: float = Field(900.0, gt=0, description="Seconds for a request's body in all; then 408.")
    answer_s: float = Field(120.0, gt=0, description="Seconds that a request waits for its photos; then 503.")
    max_sessions_mb: float = Field(512.0, gt=0, description="Memory for the sessions of the page, in megabytes; the oldest are "
                                                            "forgotten first.")
    session_idle_s: float = Field(3600.0, gt=0, description="Seconds after which an idle session of the page is forgotten.")
    keep_s: float = Field(86_400.0, gt=0, description="Seconds that results of a job are kept.")

    @property
    def origins(self) -> list[str]:
        """Origins of other pages that may ask."""
        return _names(self.cors)

    @property
    def allowed_hosts(self) -> list[str]:
        """Host names under which the service answers without a token."""
        return _names(self.hosts) or ["localhost", "127.0.0.1", "[::1]"]


def _names(text: str | None) -> list[str]:
    return [part.strip().rstrip("/") for part in (text or "").split(",") if part.strip()]
