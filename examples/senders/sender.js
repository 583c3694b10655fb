// Sends one event. Usage: URL=… [SECRET=whsec_…] node sender.js REASON NUMBER RUN INSTANCE
const { createHash, createHmac } = require("node:crypto");

const [reason, number, run, instance] = process.argv.slice(2);
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const license = process.env.LICENSE;
const payload = {
  build_version: "0.1.0",
  build_commit: "4379644",
  build_time: "2024-02-16T23:06:23+02:00",
  build_mode: "licenced",
  build_os: "linux",
  build_arch: "amd64",
  instance_id: instance,
  license_key_hash: license ? sha256(license) : null,
  license_valid: Boolean(license),
  reason,
};
const canonical = JSON.stringify(payload, Object.keys(payload).sort());
const body = JSON.stringify({ ...payload, checksum: sha256(canonical).slice(0, 16) });

const headers = {
  "content-type": "application/json",
  "user-agent": "Sirveo",
  "telemetry-frequency": "28800",
  "webhook-id": `${run}.${number}`,
  "webhook-timestamp": String(Math.floor(Date.now() / 1000)),
};
if (process.env.SECRET) {
  const key = Buffer.from(process.env.SECRET.replace("whsec_", ""), "base64");
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  headers["webhook-signature"] = "v1," + createHmac("sha256", key).update(signed).digest("base64");
}
const options = { method: "POST", headers, body, redirect: "manual", signal: AbortSignal.timeout(5000) };
fetch(process.env.URL, options).then((response) => console.log(response.status));
