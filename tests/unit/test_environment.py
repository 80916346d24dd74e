"""A wrong value stops the start with a sentence that names its variable."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import CHECKOUT, Environment
from config.settings.database import databases, parse_database_url
from config.settings.delivery import networks
from config.settings.demo import webhook_secrets
from config.settings.mail import email_settings, sender
from config.settings.security import encryption_keys
from config.settings.valkey import valkey_address
from config.url_password import with_password

Read = Callable[[Environment], object]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("yess", lambda env: env.boolean("NAME", False)),
        ("ten", lambda env: env.integer("NAME", 1, low=0, high=10)),
        ("11", lambda env: env.integer("NAME", 1, low=0, high=10)),
        ("-1", lambda env: env.integer("NAME", 1, low=0, high=10)),
        ("١", lambda env: env.integer("NAME", 1, low=0, high=10)),
        ("--1", lambda env: env.integer("NAME", 1, low=0, high=10)),
        ("9" * 5000, lambda env: env.integer("NAME", 1, low=0, high=10)),
        ("10.0.0.0/8,10.0.0.1/8", lambda env: env.parsed("NAME", None, networks)),
        ("green", lambda env: env.choice("NAME", "red", ("red", "blue"))),
        ("10.0.0.300/8", lambda env: env.parsed("NAME", None, ipaddress.ip_network)),
        ("mysql://x@y/z", lambda env: env.parsed("NAME", None, parse_database_url)),
        ("localhost:6379", lambda env: env.parsed("NAME", None, valkey_address)),
        ("redis://localhost:six/0", lambda env: env.parsed("NAME", None, valkey_address)),
        ("k1", lambda env: env.parsed("NAME", None, encryption_keys)),
        ("k1:c2hvcnQ=", lambda env: env.parsed("NAME", None, encryption_keys)),
        ("whsec", lambda env: env.parsed("NAME", None, webhook_secrets)),
        ("mail.example.org", lambda env: env.parsed("NAME", None, email_settings)),
        ("smtp://", lambda env: env.parsed("NAME", None, email_settings)),
        ("smtp://mail.example.org:mail", lambda env: env.parsed("NAME", None, email_settings)),
        ("file://folder", lambda env: env.parsed("NAME", None, email_settings)),
        ("Nobody <>", lambda env: env.parsed("NAME", None, sender)),
        ("a@example.org\nBcc: b@example.org", lambda env: env.parsed("NAME", None, sender)),
    ],
)
def test_a_wrong_value_names_its_variable(value: str, read: Read) -> None:
    with pytest.raises(ImproperlyConfigured, match="NAME"):
        read(Environment({"NAME": value}))


def test_a_missing_value_without_default_names_its_variable() -> None:
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        Environment({}).text("SECRET_KEY")


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-the-file\n")
    assert Environment({"KEY_FILE": str(path)}).text("KEY") == "from-the-file"


def test_a_file_that_cannot_be_read_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="KEY_FILE"):
        Environment({"KEY_FILE": str(tmp_path / "none")}).text("KEY")


def test_a_database_url_may_hold_escapes_and_a_socket_folder() -> None:
    parsed = parse_database_url("postgresql://us%40er:p%2Fw@/name?host=/run/pg&port=5433")
    assert (parsed["USER"], parsed["PASSWORD"]) == ("us@er", "p/w")
    assert (parsed["NAME"], parsed["HOST"], parsed["PORT"]) == ("name", "/run/pg", "5433")
    assert parsed["OPTIONS"] == {}


def test_several_networks_may_be_allowed() -> None:
    assert networks("127.0.0.0/8, fd00::/8 ,10.1.2.3") == ["127.0.0.0/8", "fd00::/8", "10.1.2.3/32"]
    assert networks("") == []


@pytest.mark.parametrize("role", ["command", "api", "stream", "worker", "beat"])
def test_every_role_bounds_its_statements_and_checks_its_connection(role: str) -> None:
    profile = databases("postgresql://a@b/c", role)["default"]
    assert "statement_timeout" in profile["OPTIONS"]["options"]
    assert profile["CONN_HEALTH_CHECKS"]
    assert "pool" not in profile["OPTIONS"]  # ADR 8


def test_a_wrong_value_ends_every_command_with_one_sentence() -> None:
    command = [sys.executable, "manage.py", "check"]
    environment = {
        "PATH": os.environ["PATH"],
        "REDIS_URL": "nowhere",
        "DATABASE_URL": "postgresql:///x",
    }
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("REDIS_URL: ")
    assert "Traceback" not in ended.stderr


def test_a_mail_url_names_server_port_user_and_how_it_is_encrypted() -> None:
    given = email_settings("smtp+tls://ops%40example.org:p%3Aw@mail.example.org")
    assert given == {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "mail.example.org",
        "EMAIL_PORT": 587,
        "EMAIL_HOST_USER": "ops@example.org",
        "EMAIL_HOST_PASSWORD": "p:w",
        "EMAIL_USE_TLS": True,
        "EMAIL_USE_SSL": False,
    }
    assert email_settings("smtps://mail.example.org")["EMAIL_PORT"] == 465
    assert email_settings("file:///var/mail/out")["EMAIL_FILE_PATH"] == "/var/mail/out"


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://broker:6379/0", "redis://:p%40ss%2F@broker:6379/0"),
        ("rediss://app@[2001:db8::1]:6379", "rediss://app:p%40ss%2F@[2001:db8::1]:6379"),
        (
            "postgresql://app@db/name?sslmode=require",
            "postgresql://app:p%40ss%2F@db/name?sslmode=require",
        ),
        ("postgresql://app:own@db/name", "postgresql://app:own@db/name"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock"),
    ],
)
def test_a_password_of_its_own_goes_into_an_address_that_has_none(url: str, whole: str) -> None:
    assert with_password(url, "p@ss/") == whole
    assert with_password(url, "") == url


def test_a_wrong_address_is_refused_without_its_password() -> None:
    told = Environment({"NAME": "redis://:hunter2@localhost:six/0"})
    with pytest.raises(ImproperlyConfigured) as refusal:
        told.parsed("NAME", None, valkey_address)
    assert "hunter2" not in str(refusal.value)


def test_a_server_that_is_not_named_says_who_would_name_it() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL is not set.*`make up`"):
        Environment({}).text("DATABASE_URL")
