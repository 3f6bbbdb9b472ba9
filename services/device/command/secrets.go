package command

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/seal"
)

// cameraScopes are the scopes that send the commands of cameras. device.MayCommand names that of all others.
func scopeOf(name string) string {
	switch name {
	case "startStream", "stopStream", "takeSnapshot":
		return caller.CameraView
	case "moveCamera":
		return caller.CameraMove
	}
	return caller.DeviceCommand
}

// ShownTo returns the command as the caller may see it. Arguments and result need the scope that sends the command,
// because devices put credentials into both. Nobody sees the signed URL of an upload.
func (c Command) ShownTo(who caller.Caller) Command {
	if !who.Has(scopeOf(c.Name)) {
		c.Arguments, c.Result = "", ""
		return c
	}
	if address := c.uploadURL(); address != "" {
		c.Arguments = masked(c.Arguments)
	}
	return c
}

// uploadURL returns the signed URL to which a camera uploads an image; "" for other commands.
func (c Command) uploadURL() string {
	var arguments struct {
		Upload struct {
			URL string `json:"url"`
		} `json:"upload"`
	}
	if c.Name != "takeSnapshot" || json.Unmarshal([]byte(c.Arguments), &arguments) != nil {
		return ""
	}
	return arguments.Upload.URL
}

func masked(arguments string) string {
	var all, upload map[string]any
	if json.Unmarshal([]byte(arguments), &all) != nil {
		return "{}"
	}
	upload, _ = all["upload"].(map[string]any)
	if upload != nil {
		upload["url"] = seal.Mask
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "{}" // never: it was decoded just now
	}
	return string(text)
}

// redacted masks the signed URL of the command, and its signature alone, in what the device says.
func (c Command) redacted(text string) string {
	address := c.uploadURL()
	if address == "" {
		return text
	}
	secrets := []string{address}
	if parsed, err := url.Parse(address); err == nil {
		for _, values := range parsed.Query() {
			for _, value := range values {
				if len(value) >= 16 { // the signature; the expiry and the method are no secrets
					secrets = append(secrets, value, url.QueryEscape(value))
				}
			}
		}
	}
	for _, secret := range secrets {
		inJSON := strings.ReplaceAll(secret, "&", `\u0026`)
		text = strings.ReplaceAll(strings.ReplaceAll(text, secret, seal.Mask), inJSON, seal.Mask)
	}
	return text
}
