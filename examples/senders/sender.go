// Sends one event. Usage: URL=… [SECRET=whsec_…] go run sender.go REASON NUMBER RUN INSTANCE
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// canonical writes a map with sorted keys, which encoding/json does, and leaves <, > and & as they are.
func canonical(payload map[string]any) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(payload); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(text.Bytes())
}

func main() {
	license := os.Getenv("LICENSE")
	payload := map[string]any{
		"build_version": "0.1.0", "build_commit": "4379644", "build_time": "2024-02-16T23:06:23+02:00",
		"build_mode": "licenced", "build_os": "linux", "build_arch": "amd64", "instance_id": os.Args[4],
		"license_key_hash": nil, "license_valid": license != "", "reason": os.Args[1],
	}
	if license != "" {
		payload["license_key_hash"] = fmt.Sprintf("%x", sha256.Sum256([]byte(license)))
	}
	payload["checksum"] = fmt.Sprintf("%x", sha256.Sum256(canonical(payload)))[:16]
	body := canonical(payload)

	request, err := http.NewRequest("POST", os.Getenv("URL"), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	id, timestamp := os.Args[3]+"."+os.Args[2], fmt.Sprint(time.Now().Unix())
	request.Header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Sirveo"},
		"Telemetry-Frequency": {"28800"}, "Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}}
	if secret := os.Getenv("SECRET"); secret != "" {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			panic(err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "." + string(body)))
		request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	fmt.Println(response.StatusCode)
}
