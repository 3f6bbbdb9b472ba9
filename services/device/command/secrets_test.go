package command_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/services/device/command"
)

func TestArgumentsAndResultNeedTheScopeThatSends(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, scope string }{
		{"blink", caller.DeviceCommand}, {"unlock", caller.DeviceCommand}, {"startStream", caller.CameraView},
		{"stopStream", caller.CameraView}, {"takeSnapshot", caller.CameraView}, {"moveCamera", caller.CameraMove},
	} {
		sent := command.Command{Name: c.name, Arguments: `{"password":"a"}`, Result: `{"url":"rtsp://u:p@h"}`}
		for _, scope := range []string{caller.DeviceRead, caller.DeviceCommand, caller.CameraView, caller.CameraMove} {
			got := sent.ShownTo(caller.Caller{Role: caller.Operator, Scopes: []string{caller.DeviceRead, scope}})
			if shown := got.Arguments != "" && got.Result != ""; shown != (scope == c.scope) || shown != (got.Arguments+got.Result != "") {
				t.Errorf("%s to %s: %q, %q", c.name, scope, got.Arguments, got.Result)
			}
		}
	}
}

func TestSignedAddressOfAnUploadIsShownToNobody(t *testing.T) {
	t.Parallel()
	const secret = "c2lnbmF0dXJlLW9mLXRoZS1hZGRyZXNz"
	c := command.Command{Name: "takeSnapshot", Arguments: `{"image":"k","upload":{"url":"http://h/images?expiry=1\u0026signature=` + secret + `","maxBytes":5242880}}`}
	got := c.ShownTo(caller.OfSystem()).Arguments
	if strings.Contains(got, secret) || !strings.Contains(got, `"url":"********"`) || !strings.Contains(got, `"maxBytes":5242880`) || !strings.Contains(got, `"image":"k"`) {
		t.Errorf("shown %s", got)
	}
}
