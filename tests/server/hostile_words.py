"""Strange words for requests: methods, texts of fields, JSON, headers, hosts, paths and parts of paths."""

METHODS = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "G" * 300, "get", "PRI")
TEXTS = (
    "", " ", "0", "-1", "1e999", "nan", "NaN", "-inf", "9" * 40, "9" * 5000, "0x10", "1_000", "\u0661\u0662", "1,2,3",
    "54.5,3.0,1e-300", "54.5,3.0,1e300", "54.5,3.0,-1", "nan,nan,nan", "90,180,5", "-90,540,1e9", "within:", "within:-1",
    "within:nan", "within:1e308", "beam:0", "beam:999999999999", "posterior", "exif", "track", "null", "true", "[]", "{}", "..",
    "../../etc/passwd", "/etc/passwd", "%2e%2e%2f", "\x00", "\r\nX-Injected: 1",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "\u202e", "'\";--", "${jndi:ldap://x}", "<script>", "{{7*7}}",
    "%s%n", "a" * 70_000, "\u00e9" * 300, "Europe/Stockholm", "../../posixrules", "+25:00")
JSONS = (
    "", "null", "[]", "{}", "0", '"x"', "NaN", "[NaN]", "1e999", "9" * 5000, "{", "[" * 100_000, "[" * 500 + "]" * 500,
    '{"a":' * 5000 + "1" + "}" * 5000, '{"kind": "cell"}', '{"kind": "cell", "sequence": [99999999999999999999], "here": true}',
    '{"kind": "cell", "sequence": [-1], "here": true}',
    '{"kind": "cell", "sequence": [0, 0, 0, 0, 0, 0, 0, 0, 0], "here": false}',
    '{"kind": "cell", "sequence": [1.5], "here": 1}', '{"kind": "cell", "lat": 1e308, "lon": 0, "level": 1, "here": true}',
    '{"kind": "cell", "lat": 0, "lon": 0, "level": 99999999999, "here": true}',
    '{"kind": "cell", "lat": NaN, "lon": 0, "level": 1, "here": true}',
    '{"kind": "circle", "lat": 54.5, "lon": 3, "radius_m": 1e-300, "here": true}',
    '{"kind": "circle", "lat": 54.5, "lon": 3, "radius_m": -1, "here": true}',
    '{"kind": "circle", "lat": 54.5, "lon": 3, "radius_m": 1e7, "here": false}',
    '{"kind": "circle", "lat": "\\ud800", "here": {}}', '{"kind": "heading", "deg": Infinity}',
    '{"kind": "heading", "deg": 90, "sigma_deg": 0}', '{"kind": "heading", "deg": 90, "sigma_deg": 180}',
    '{"kind": "camera", "fov_deg": 1e-9}', '{"kind": "camera", "fov_deg": 200}',
    '{"kind": "polygon", "geometry": {}, "here": true}',
    '{"kind": "polygon", "geometry": {"type": "Polygon", "coordinates": [[[0,0],[1e999,0],[0,1],[0,0]]]}, "here": true}',
    '{"kind": "polygon", "geometry": {"type": "Polygon", "coordinates": [[[3,54],[4,54],[4,55],[3,54]]]}, "here": '
    'true, "more": 1}',
    '{"kind": "polygon", "geometry": ' + '{"geometry":' * 3000 + "1" + "}" * 3000 + ', "here": true}', '{"kind": "\\u0000"}',
    '{"kind": "cell", "kind": "circle"}', "\xff\xfe{}", '{"\\ud800": 1}')
HEADERS = (
    "Accept: application/geo+json", "Accept: " + "x/y," * 5000, "Accept: */*;q=nan", "Content-Encoding: gzip",
    "Expect: 100-continue", "Expect: nonsense", "Cookie: jzi_token=\"\\377", "Cookie: " + "a=b;" * 5000,
    "Authorization: Bearer \xff", "Authorization: Basic eA==", "Origin: null", "Origin: http://[",
    "Origin: http://localhost:99999999", "Origin: http://localhost", "Range: bytes=5-2,-0,99999999999-", "If-None-Match: *",
    "If-None-Match: \"\xff\"", "If-Modified-Since: yesterday", "Upgrade: websocket\r\nConnection: upgrade",
    "Upgrade: h2c\r\nConnection: upgrade", "Connection: close", "X-Forwarded-For: ::::", "X-Forwarded-Proto: javascript",
    "X-Forwarded-Host: evil.example", "Forwarded: for=\"_x\"", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
    "Content-Length: 5", "Content-Length: -5", "Content-Length: 99999999999999999999", "Content-Length: 5, 6",
    "X: " + "y" * 20_000, "\r\n".join(f"H{n}: {n}" for n in range(500)), "Bad Header: 1", "No-Colon", ": empty", "X:\x00",
    "Access-Control-Request-Method: POST", "Range: bytes=0-", "Range: lines=1-2", "Remark: \u00e9")
HOSTS = (
    "localhost", "localhost:1", "127.0.0.1", "[::1]", "", "[", "]", "evil.example", "localhost:x", "a" * 5000, "localhost\t",
    "LOCALHOST")
PATHS = (
    "/", "//", "/..", "/../../etc/passwd", "/page/../../app.py", "/page/%2e%2e/%2e%2e/app.py", "/page/..%5c..%5capp.py",
    "/page/\\..\\x", "/page/%00", "/page/" + "a/" * 3000, "/examples/..%2f..%2fx", "/examples/%00", "/%", "/%zz", "/%ff%fe",
    "/" + "a" * 8000, "/" + "a" * 70_000, "/v1", "/v1/", "/v1//localize", "/V1/LOCALIZE", "/v1/localize/",
    "/v1/localize?" + "a=b&" * 5000, "/openapi.json", "/docs", "/metrics", "/healthz", "/readyz", "*", "http://evil.example/",
    "localhost:80", "/wmts", "/wmts?request=GetTile", "/wmts?SERVICE=WMTS&REQUEST=GetCapabilities",
    "/wmts?request=gettile&layer=map&tilematrix=99999999999&tilecol=1&tilerow=1",
    "/wmts?request=gettile&layer=map&tilematrix=-1&tilecol=x&tilerow=",
    "/wmts?request=gettile&layer=map&tilematrix=18&tilecol=133&tilerow=83&format=image/jpeg", "/?\x7f", "/;x=1", "/v1/map#x")
PLACES = (
    "0", "1", "-1", "17", "30", "31", "64", "99999999999", "9" * 5000, "1.5", "1e3", "\u0661", "nan", "", ".", "..", "%2e%2e",
    "%00", "a", "0" * 32, "f" * 64, "undo", "redo", "png", "jsonl", "parquet", "exe", "%2F", "0@2x.png", "5.jpg", "5.webp",
    "5@2x", "1" * 10 + ".png", "\u202e", "a" * 3000)
