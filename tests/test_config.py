"""Settings: their sources, which source overrides which, and what is refused."""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.config import environment_for_engine, load_settings
from oruel.errors import ConfigError
from oruel.settings import SETTINGS, Settings

KEY = "a-key-that-no-one-may-see"


def settings_from(
    directory: Path,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    toml: str | None = None,
) -> Settings:
    if toml is not None:
        (directory / "oruel.toml").write_text(toml, encoding="utf-8")
    return load_settings(flags or {}, environ or {}, directory)


def refusal(directory: Path, **sources: object) -> str:
    with pytest.raises(ConfigError) as refused:
        settings_from(directory, **sources)  # type: ignore[arg-type]  # the arguments of `settings_from`
    return refused.value.message


def test_by_default_the_bundled_model_is_served_on_loopback(tmp_path: Path) -> None:
    settings = settings_from(tmp_path)
    assert (settings.model, settings.aliases) == ("demo", ("llama-4-maverick",))
    assert (settings.host, settings.port, settings.gpu_layers) == ("127.0.0.1", 8000, 0)
    assert (settings.ctx, settings.kv, settings.parallel, settings.threads) == (None,) * 4
    assert (settings.api_key, settings.libllama) == (None, None)
    assert settings.max_waiting == 256
    assert (settings.queue_seconds, settings.first_token_seconds, settings.total_seconds) == (60, 300, 3600)
    assert (settings.max_body_bytes, settings.unknown_fields, settings.open) == (8388608, "refuse", False)
    assert (settings.log_prompts, settings.log_format) == (False, "auto")
    assert settings.template_kwargs == settings.allowed_hosts == settings.allowed_origins == ()
    assert settings.web


def test_another_model_does_not_get_the_alias_of_the_bundled_model(tmp_path: Path) -> None:
    assert settings_from(tmp_path, {"model": "other.gguf"}).aliases == ()
    assert settings_from(tmp_path, {"model": "other.gguf", "alias": ["one", "two"]}).aliases == ("one", "two")
    assert settings_from(tmp_path, {"alias": []}).aliases == ()
    assert settings_from(tmp_path, environ={"ORUEL_ALIAS": ""}).aliases == ()


INTEGERS = {"port": 8000, "max_waiting": 256, "gpu_layers": 0}
some_integers = st.fixed_dictionaries({}, optional={name: st.integers(1, 200) for name in INTEGERS})


@given(flags=some_integers, variables=some_integers, keys=some_integers)
def test_flags_override_variables_over_the_file_over_defaults(
    flags: dict[str, int], variables: dict[str, int], keys: dict[str, int]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        settings = settings_from(
            Path(directory),
            {name: str(value) for name, value in flags.items()},
            {f"ORUEL_{name.upper()}": str(value) for name, value in variables.items()},
            "".join(f"{name} = {value}\n" for name, value in keys.items()),
        )
    expected = INTEGERS | keys | variables | flags
    assert {name: getattr(settings, name) for name in INTEGERS} == expected


def test_every_setting_can_be_given_in_each_of_the_three_ways(tmp_path: Path) -> None:
    given = {
        "model": "x.gguf", "alias": "one,two", "ctx": "64", "kv": "128", "parallel": "2", "threads": "3",
        "gpu_layers": "4", "host": "::1", "port": "5", "api_key": KEY, "open": "true", "max_body_bytes": "2048",
        "unknown_fields": "report", "template_kwargs": "think", "allowed_hosts": "a.example,b.example",
        "allowed_origins": "https://a.example,app://b", "web": "false",
        "log_prompts": "true", "log_format": "json", "libllama": "/lib/libllama.so", "max_waiting": "7",
        "share_prefixes": "all", "queue_seconds": "0.5", "first_token_seconds": "20", "total_seconds": "300.25",
        "tool_prompt": "generic", "body_seconds": "9", "head_seconds": "8", "idle_seconds": "70", "write_seconds": "50",
        "preparation_seconds": "3", "store": "/x/ledger.db", "key_secret": "x" + "y" * 31,
        "max_connections": "100", "max_connections_per_address": "50",
    }  # fmt: skip
    exclusive = {"catalog": "c.toml"}
    assert given.keys() | exclusive == SETTINGS.keys() == {field.name for field in dataclasses.fields(Settings)}
    from_flags = in_three_ways(tmp_path, given)
    assert in_three_ways(tmp_path, exclusive).catalog == "c.toml"
    assert from_flags.allowed_hosts == ("a.example", "b.example")
    assert (from_flags.allowed_origins, from_flags.web) == (("https://a.example", "app://b"), False)
    assert (from_flags.ctx, from_flags.open, from_flags.template_kwargs) == (64, True, ("think",))
    assert (from_flags.queue_seconds, from_flags.first_token_seconds, from_flags.total_seconds) == (0.5, 20, 300.25)


def in_three_ways(directory: Path, given: dict[str, str]) -> Settings:
    toml = "".join(f"{name} = {in_toml(name, text)}\n" for name, text in given.items())
    (directory / "empty").mkdir(exist_ok=True)
    from_flags = settings_from(directory / "empty", flags=given)
    from_variables = settings_from(
        directory / "empty", environ={SETTINGS[name].variable: given[name] for name in given}
    )
    assert from_flags == from_variables == settings_from(directory, toml=toml)
    return from_flags


@pytest.mark.parametrize("flags", [{"model": "demo"}, {"alias": "x"}])
def test_model_and_alias_conflict_with_a_catalog(flags: dict[str, str], tmp_path: Path) -> None:
    (name,) = flags
    assert f"--{name} and --catalog" in refusal(tmp_path, flags={"catalog": "c.toml", **flags})
    assert f"--{name} and --catalog" in refusal(
        tmp_path, flags={"catalog": "c.toml"}, environ={SETTINGS[name].variable: "x"}
    )
    assert f"--{name} and --catalog" in refusal(tmp_path, flags=flags, toml='catalog = "c.toml"')


def in_toml(name: str, text: str) -> str:
    if name in ("alias", "template_kwargs", "allowed_hosts", "allowed_origins"):
        return str(text.split(","))
    return text if text[0].isdigit() or text in ("true", "false") else f'"{text}"'


def test_the_variable_of_the_library_is_libllama(tmp_path: Path) -> None:
    assert settings_from(tmp_path, environ={"LIBLLAMA": "/x.so"}).libllama == "/x.so"
    assert "Did you mean LIBLLAMA?" in refusal(tmp_path, environ={"ORUEL_LIBLLAMA": "/x.so"})


def test_a_flag_or_a_variable_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "flag.toml").write_text("port = 1")
    (tmp_path / "variable.toml").write_text("port = 2")
    (tmp_path / "oruel.toml").write_text("port = 3")
    variable = {"ORUEL_CONFIG": "variable.toml"}
    assert settings_from(tmp_path, {"config": str(tmp_path / "flag.toml")}, variable).port == 1
    assert settings_from(tmp_path, {}, variable).port == 2
    assert settings_from(tmp_path).port == 3


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"flags": {"config": "absent.toml"}}, "absent.toml can't be read: No such file"),
        ({"environ": {"ORUEL_CONFIG": "absent.toml"}}, "absent.toml can't be read"),
        ({"toml": "port ="}, "is not valid TOML"),
        ({"toml": "prot = 1"}, 'Unknown key "prot" in'),
        ({"toml": "prot = 1"}, "Did you mean port?"),
        ({"toml": "gpu-layers = 1"}, "Did you mean gpu_layers?"),
        ({"toml": "[server]\nport = 1"}, 'Unknown key "server" in'),
        (
            {"environ": {"ORUEL_CXT": "1"}},
            "Unknown variable ORUEL_CXT: no setting has that name. Did you mean ORUEL_CTX?",
        ),
        ({"environ": {"ORUEL_QQQQ": "1"}}, "The settings are: ORUEL_MODEL, "),
        ({"flags": {"kv": "many"}}, '--kv must be an integer from 1 to 1073741824, but is the string "many".'),
        ({"environ": {"ORUEL_KV": "0"}}, "The variable ORUEL_KV must be an integer from 1"),
        ({"environ": {"ORUEL_KV": ""}}, 'ORUEL_KV must be an integer from 1 to 1073741824, but is the string "".'),
        ({"toml": 'kv = "9000"'}, "The key kv in"),
        ({"toml": "ctx = 10.5"}, "must be an integer from 1"),
        ({"toml": "ctx = nan"}, "not a finite number"),
        ({"toml": "open = 1"}, "must be true or false, but is 1."),
        ({"environ": {"ORUEL_OPEN": "perhaps"}}, 'ORUEL_OPEN must be true or false, but is the string "perhaps".'),
        ({"flags": {"parallel": "257"}}, "--parallel must be an integer from 1 to 255, but is 257."),
        ({"flags": {"max_waiting": "-1"}}, "--max-waiting must be an integer from 0 to 65536, but is -1."),
        ({"flags": {"queue_seconds": "0"}}, "--queue-seconds must be a number from 0.001 to 86400, but is 0"),
        ({"flags": {"queue_seconds": "-0.5"}}, "--queue-seconds must be a number from 0.001 to 86400, but is -0.5."),
        ({"flags": {"total_seconds": "86401"}}, "--total-seconds must be a number from 0.001 to 86400"),
        ({"flags": {"total_seconds": "9" * 5000}}, "--total-seconds must be a number from 0.001 to 86400"),
        ({"environ": {"ORUEL_TOTAL_SECONDS": "nan"}}, 'must be a number from 0.001 to 86400, but is the string "nan".'),
        ({"environ": {"ORUEL_TOTAL_SECONDS": "1h"}}, 'must be a number from 0.001 to 86400, but is the string "1h".'),
        ({"toml": "first_token_seconds = inf"}, "The key first_token_seconds in"),
        ({"flags": {"port": "65536"}}, "--port must be an integer from 0 to 65535"),
        ({"flags": {"port": "9" * 5000}}, "--port must be an integer from 0 to 65535"),
        ({"flags": {"unknown_fields": "drop"}}, '--unknown-fields must be "refuse" or "report"'),
        ({"toml": 'alias = "one"'}, "The key alias in"),
        ({"flags": {"allowed_origins": ["app.example"]}}, "--allowed-origins[0] must be"),
        (
            {"flags": {"allowed_origins": ["https://app.example/"]}},
            'an origin such as https://app.example, or "*", but',
        ),
        ({"flags": {"alias": [""]}}, "--alias[0] must be a string of 1 to 128 characters"),
        ({"flags": {"ctx": "200", "kv": "100"}}, "kv is 100 tokens, but one request may take ctx = 200."),
        ({"environ": {"ORUEL_CTX": "200"}, "toml": "kv = 100"}, "Set kv to at least 200"),
    ],
)
def test_an_invalid_setting_is_refused_with_its_source(
    tmp_path: Path, sources: dict[str, object], message: str
) -> None:
    assert message in refusal(tmp_path, **sources)


def test_an_invalid_value_is_refused_even_if_another_source_overrides_it(tmp_path: Path) -> None:
    assert "The key port in" in refusal(tmp_path, flags={"port": "1"}, toml="port = 70000")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oruel.toml").write_bytes(b"\xff\xfe")
    assert "is not valid TOML" in refusal(tmp_path)


def test_variables_of_other_programs_are_ignored(tmp_path: Path) -> None:
    assert settings_from(tmp_path, environ={"PORT": "1", "HF_TOKEN": "x", "ORUELX": "y"}).port == 8000


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.1", "localhost.evil.example"])
def test_an_address_that_other_machines_can_reach_needs_a_key_or_open(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings_from(tmp_path, {"host": host}).require_key(store_has_keys=False)
    message = refused.value.message
    assert host in message
    assert "ORUEL_API_KEY" in message
    assert "--open" in message
    settings_from(tmp_path, {"host": host}).require_key(store_has_keys=True)
    settings_from(tmp_path, {"host": host, "api_key": KEY}).require_key(store_has_keys=False)
    settings_from(tmp_path, {"host": host, "open": True}).require_key(store_has_keys=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LocalHost"])
def test_a_loopback_address_needs_no_key(tmp_path: Path, host: str) -> None:
    settings_from(tmp_path, {"host": host}).require_key(store_has_keys=False)


def test_only_a_hash_of_the_key_is_kept(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, environ={"ORUEL_API_KEY": KEY})
    assert settings.api_key is not None
    # sha256sum of the key
    assert settings.api_key.sha256.hex() == "ffc81de1fe96dda8668743fc898f9cbc51d0a5b2ea7738723a5dbbda39e33905"
    assert KEY not in repr(settings)
    assert "sha256" not in repr(settings)
    assert KEY not in str(dataclasses.asdict(settings))


@pytest.mark.parametrize("toml", [f'api_key = "{KEY} "', "api_key = 123123123", f'api_key = ["{KEY}"]', 'api_key = ""'])
def test_an_invalid_key_is_refused_without_repeating_it(tmp_path: Path, toml: str) -> None:
    message = refusal(tmp_path, toml=toml)
    assert "The key api_key in" in message
    assert "printable ASCII" in message
    assert KEY not in message
    assert "123123123" not in message


SECRET_URL = f"postgresql://oruel:{KEY}@db.example/ledger"
SECRET = {"ORUEL_STORE": SECRET_URL, "ORUEL_KEY_SECRET": f"{KEY}{KEY}"}


def test_the_stores_password_and_secret_are_not_shown(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, environ=SECRET)
    assert settings.store
    assert settings.key_secret
    assert (settings.store.text, settings.key_secret.text) == tuple(SECRET.values())
    for shown in (repr(settings), str(settings), str(dataclasses.asdict(settings)), f"{settings.store}"):
        assert KEY not in shown


@pytest.mark.parametrize(
    "toml",
    [f'store = "{KEY}\\n"', f'store = ["{KEY}"]', 'store = ""', f'key_secret = "{KEY}"', "key_secret = 123123123"],
)
def test_an_invalid_store_or_secret_is_refused_without_repeating_it(tmp_path: Path, toml: str) -> None:
    message = refusal(tmp_path, toml=toml)
    assert f"The key {toml.partition(' ')[0]} in" in message
    assert KEY not in message
    assert "123123123" not in message


def test_the_store_is_in_the_users_data_directory_unless_one_is_set(tmp_path: Path) -> None:
    def store(**environ: str) -> str | None:
        given = settings_from(tmp_path, environ=environ).store
        return given.text if given else None

    assert store(XDG_DATA_HOME="/data", HOME="/home/ada") == "/data/oruel/ledger.db"
    assert store(XDG_DATA_HOME="relative", HOME="/home/ada") == "/home/ada/.local/share/oruel/ledger.db"
    assert store(HOME="/home/ada") == "/home/ada/.local/share/oruel/ledger.db"
    assert store(HOME="/home/ada", ORUEL_STORE="other.db") == "other.db"
    assert store(HOME="/home/ada", ORUEL_STORE="none") is None


def test_the_engine_gets_the_variables_of_its_libraries_but_no_key() -> None:
    needed = {"PATH": "/bin", "LD_PRELOAD": "x.so", "CUDA_VISIBLE_DEVICES": "1", "GGML_CUDA_P2P": "1", "LC_ALL": "C"}
    needed |= {"GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": "2", "PYTHONPATH": "src", "HSA_OVERRIDE_GFX_VERSION": "10.3.0"}
    keys = dict.fromkeys(("ORUEL_API_KEY", "OPENAI_API_KEY", "VLLM_KEY", "LLAMA_API_KEY", "AWS_SESSION_TOKEN"), KEY)
    assert environment_for_engine(needed | keys | {"ORUEL_PORT": "1", "SHLVL": "1"}) == needed
