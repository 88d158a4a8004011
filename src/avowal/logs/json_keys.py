"""List the keys by which JSON logs name the fields of a request, and find a request in a nested object.

Keys are compared in lower case, without `_`, `-` and the like: `User-Agent` and `user_agent` are `useragent`.
The keys of nested objects are joined by dots. Words around a key that say nothing (`request.headers.…`) are left out.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache


def _split(keys: str) -> tuple[str, ...]:
    return tuple(keys.split())


FieldKeys = Mapping[str, tuple[str, ...]]
"""The keys that can hold each field, the preferred one first."""

REQUEST_WORDS = frozenset(
    _split(
        "request req http httprequest requestheaders requestheader reqheaders headers header incoming message"
    )
)
"""Names of objects that hold a request or its headers."""

RESPONSE_WORDS = frozenset(
    _split("response res resp httpresponse responseheaders responseheader respheaders resheaders reply")
)
"""Names of objects that hold a response or its headers."""

_BODY_FIELDS = {
    "contenttype",
    "contentlength",
    "size",
    "bytes",
    "bodybytes",
    "body.bytes",
    "bodysize",
    "length",
}
"""Fields that a request has, too: there they say nothing of the response."""

FORWARDED_HEADERS = tuple(
    re.sub(r"[^a-z0-9]", "", name)
    for name in _split(
        "x-forwarded-for x-real-ip cf-connecting-ip true-client-ip fastly-client-ip x-client-ip "
        "x-cluster-client-ip x-original-forwarded-for x-forwarded forwarded-for forwarded "
        "x-envoy-external-address x-azure-clientip x-azure-socketip cloudfront-viewer-address "
        "do-connecting-ip fly-client-ip x-appengine-user-ip cf-pseudo-ipv4 incap-client-ip "
        "x-sucuri-clientip ali-cdn-real-ip x-nf-client-connection-ip x-vercel-forwarded-for "
        "wl-proxy-client-ip proxy-client-ip client-ip x-proxyuser-ip eo-connecting-ip "
        "cdn-loop-client-ip x-originating-ip x-remote-ip x-remote-addr x-host-client-ip "
        "x-coming-from x-forwarded-client-ip"
    )
)
"""Headers by which proxies pass the address of the client on, as keys. Anybody can send them."""

_TIMED = _split(
    "requesttime responsetime requestduration responseduration duration latency elapsed "
    "elapsedtime timeelapsed timetaken totaltime totalduration processingtime took time "
    "generationtime responselatency upstreamtime"
)
DURATION_KEYS = {
    "seconds": [
        "requesttime",
        "reqtime",
        "rt",
        "httprequesttime",
        "requesttimes",
        "requesttimesec",
        "requesttimeseconds",
        "requestseconds",
    ]
    + [f"{name}{unit}" for name in _TIMED for unit in ("sec", "secs", "seconds")]
    + ["durations", "latencys", "elapseds", "responsetimes", "timetakens", "totaltimes"],
    "milliseconds": [f"{name}{unit}" for name in _TIMED for unit in ("ms", "msec", "millis", "milliseconds")]
    + ["responselatency"],
    "microseconds": [f"{name}{unit}" for name in _TIMED for unit in ("us", "usec", "micros", "microseconds")],
    "nanoseconds": ["event.duration"]
    + [f"{name}{unit}" for name in _TIMED for unit in ("ns", "nsec", "nanos", "nanoseconds")],
}
"""The keys of durations, by the unit that they name or that the server always uses."""

PLAIN_DURATION_KEYS = _split(
    "duration latency responsetime elapsed elapsedtime timetaken totaltime requestduration "
    "processingtime totalduration took timeelapsed responseduration"
)
"""The keys of durations in a unit that depends on the server."""

COMMON_KEYS: FieldKeys = {
    "time_any": _split(
        "@timestamp timeiso8601 timestamp timelocal msec timestart starttime startedat "
        "requestedat requesttimestamp requesttime edgestarttimestamp startutc startlocal time ts "
        "datetime date eventtime event.created logtime accesstime unixtime timeunix epoch "
        "timestampms timegenerated receivetimestamp createdat realtimetimestamp eventtimestamp "
        "timestampiso8601 isotimestamp localtime t"
    ),
    "address": _split(
        "remoteaddr clientip client.ip source.ip network.client.ip remoteip clientaddr "
        "clientaddress remoteaddress cip ip ipaddress clientipaddress srcip sourceip "
        "sourceaddress src source.address client.address ipclient visitorip userip requestip "
        "peerip remotehost clienthost client remote remoteiplist realip clientrealip "
        "identity.sourceip requestcontext.identity.sourceip requestcontext.sourceip "
        "downstreamremoteaddress clientrequestip addr peer hostip socketip ipv4 ipv6 xclientip "
        "clientsocketip useripaddress"
    ),
    "forwarded": (*FORWARDED_HEADERS, *(f"http{name}" for name in FORWARDED_HEADERS), "xff"),
    "host": _split(
        "host httphost vhost virtualhost servername url.domain domain authority requesthost "
        "clientrequesthost xhostheader cshost originalhost hostheader reqhost domainname "
        "server.name requestauthority site"
    ),
    "request": ("request", "requestline", "req", "httprequest", "rawrequest", "firstline"),
    "method": _split(
        "requestmethod method httpmethod verb httpverb clientrequestmethod csmethod reqmethod "
        "requestverb requestcontext.httpmethod request"
    ),
    "target": _split(
        "requesturi url.original url.full uri requestpath originalurl url path url.path "
        "requesturl clientrequesturi clientrequestpath csuristem csuri httpurl httppath httpuri "
        "httptarget target requesttarget uripath urlpath urluri pathname rawpath originalpath "
        "xenvoyoriginalpath fullurl requestpathquery pathquery endpoint requrl requri reqpath "
        "request requestcontext.path"
    ),
    "raw_query": _split(
        "args querystring query url.query csuriquery requestquery uriquery uriparam requestargs "
        "urlquery qs queryparams rawquery requestquerystring"
    ),
    "status": _split(
        "status statuscode response.status response.statuscode responsestatus responsecode "
        "httpstatus httpstatuscode scstatus edgeresponsestatus elbstatuscode downstreamstatus "
        "code returncode httpcode respstatus resstatus responsestatuscode statussent "
        "responsecodesent httpresponsecode response originstatus rescode"
    ),
    "bytes": _split(
        "bodybytessent response.body.bytes response.bytes bytessent bytes size responsesize "
        "length responsebytes scbytes edgeresponsebytes edgeresponsebodybytes bodysent.bytes "
        "responselength sentbytes bytesout byteout responsebodysize respbodysize "
        "responsebodybytes responsecontentlength response.contentlength byteswritten writtenbytes "
        "bytesreturned outbytes downstreamcontentsize rspsize respsize response.size "
        "response.length responsebodylength bodysize sent contentsize response.bodysize "
        "network.byteswritten bodybytes bytessentbody"
    ),
    **{unit: tuple(keys) for unit, keys in DURATION_KEYS.items()},
    "referrer": _split(
        "httpreferer httpreferrer referer referrer requestreferer requestreferrer csreferer "
        "csreferrer clientrequestreferer clientrequestreferrer refererurl reqreferer http.referer "
        "httprefererurl"
    ),
    "user_agent": _split(
        "httpuseragent useragent.original useragent agent ua requestuseragent csuseragent "
        "clientrequestuseragent useragentstring httpagent reqagent clientuseragent uastring "
        "requestagent useragent.string"
    ),
    "content_type": _split(
        "response.contenttype senthttpcontenttype responsecontenttype respcontenttype "
        "edgeresponsecontenttype sccontenttype downstreamcontenttype origincontenttype "
        "upstreamhttpcontenttype contenttype responsemimetype response.mimetype mimetype"
    ),
}
"""The names of nginx's variables, of Elastic Common Schema, of load balancers, content delivery networks and others."""


TARGET_FIELDS = ("request", "target", "raw_path")
"""The fields of which a request has at least one."""


@lru_cache(4096)
def normalise_key(name: str) -> str:
    """Return the name of a key as it is compared.

    >>> normalise_key("cs(User-Agent)")
    'csuseragent'
    """
    return re.sub(r"[^a-z0-9.@]", "", name.lower())


@lru_cache(4096)
def simplify_path(path: str) -> str:
    """Return a normalised path of keys without the words that only say that it is about a request.

    >>> [simplify_path(path) for path in ("request.headers.host", "resp.headers.date", "req.headers.contenttype")]
    ['host', 'response.date', 'request.contenttype']
    """
    words = path.split(".")
    of_request = of_response = False
    while len(words) > 1 and (words[0] in REQUEST_WORDS or words[0] in RESPONSE_WORDS):
        of_response |= words[0] in RESPONSE_WORDS
        of_request |= words[0] in REQUEST_WORDS and words[0] not in {"http", "message"}
        words = words[1:]
    rest = ".".join(words)
    if of_response:
        return f"response.{rest}"
    return f"request.{rest}" if of_request and rest in _BODY_FIELDS else rest


def find_field_keys(paths: Iterable[str], field_keys: FieldKeys) -> dict[str, tuple[str, ...]]:
    """Return, for each field, the paths among `paths` that can hold it, the preferred first.

    All are in one object, the one that has the most fields; only the time can be in an object around it. Returns
    nothing if no object has the target of a request.
    """
    all_paths = list(paths)
    scopes = {""} | {path[: i + 1] for path in all_paths for i, letter in enumerate(path) if letter == "."}
    best: dict[str, tuple[str, ...]] = {}
    for scope in sorted(scopes, key=len):
        found = _find_in_scope(all_paths, scope, field_keys)
        if len(found) > len(best) and any(field in found for field in TARGET_FIELDS):
            best = found
            best_scope = scope
    if best and not any(field.startswith("time") for field in best):
        while best_scope:
            best_scope = best_scope[:-1].rpartition(".")[0]
            best_scope += "." if best_scope else ""
            if time := _find_in_scope(all_paths, best_scope, {"time_any": field_keys["time_any"]}):
                return best | time
    return best


def _find_in_scope(paths: list[str], scope: str, field_keys: FieldKeys) -> dict[str, tuple[str, ...]]:
    by_key: dict[str, list[str]] = {}
    for path in paths:
        if path.startswith(scope):
            key = simplify_path(path[len(scope) :])
            by_key.setdefault(key, []).append(path)
    found = {}
    for field, keys in field_keys.items():
        # of `host` and `request.host`, the longer one is surely of the request
        matching = [path for key in keys for path in sorted(by_key.get(key, ()), key=len, reverse=True)]
        if matching:
            found[field] = tuple(matching)
    return found
