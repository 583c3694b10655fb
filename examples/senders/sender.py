"""Sends one event. Usage: URL=… [SECRET=whsec_…] python3 sender.py REASON NUMBER RUN INSTANCE"""
import base64, hashlib, hmac, json, os, sys, time, urllib.request

reason, number, run, instance = sys.argv[1:5]
license_key = os.environ.get("LICENSE")
payload = {
    "build_version": "0.1.0",
    "build_commit": "4379644",
    "build_time": "2024-02-16T23:06:23+02:00",
    "build_mode": "licenced",
    "build_os": "linux",
    "build_arch": "amd64",
    "instance_id": instance,
    "license_key_hash": hashlib.sha256(license_key.encode()).hexdigest() if license_key else None,
    "license_valid": license_key is not None,
    "reason": reason,
}
canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
payload["checksum"] = hashlib.sha256(canonical.encode()).hexdigest()[:16]
body = json.dumps(payload).encode()

headers = {
    "content-type": "application/json",
    "user-agent": "Sirveo",
    "telemetry-frequency": "28800",
    "webhook-id": f"{run}.{number}",
    "webhook-timestamp": str(int(time.time())),
}
if secret := os.environ.get("SECRET"):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    headers["webhook-signature"] = f"v1,{signature}"
request = urllib.request.Request(os.environ["URL"], body, headers, method="POST")
print(urllib.request.urlopen(request, timeout=5).status)
