package command_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
)

// Whatever a device says of a command is taken or refused, and what is kept of it can be read again.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"id":"ID"}`, `{"id":"ID","ok":true,"result":{"a":[1,null]}}`, `{"id":"ID","ok":false,"error":"\u0000\ud800"}`,
		`{"id":"ID","at":"2026-03-01T06:00:00Z","stream":"stdout","text":"x"}`, `{"id":"ID","lines":[{"text":"\u0000"},{"at":1}]}`,
		`{"lockState":"UNLOCKED"}`, `{"id":"ID","ok":true,"result":null}`, `[]`, ``, "\xff", `{"id":1}`, `{"id":"ID","lines":null,"text":5}`,
	} {
		f.Add(uint8(0), seed)
		f.Add(uint8(1), seed)
		f.Add(uint8(2), seed)
		f.Add(uint8(3), seed)
	}
	s := devicetest.Open(f)
	d := s.Register(f, device.Vehicle)
	topics := []device.UpTopic{device.UpCommandAck, device.UpCommandLog, device.UpCommandResult, device.UpState}
	f.Fuzz(func(t *testing.T, topic uint8, payload string) {
		c := s.Send(t, command.SendInput{DeviceID: d.ID})
		m := device.UpMessage{DeviceID: d.ID, Topic: topics[int(topic)%len(topics)], Payload: []byte(strings.ReplaceAll(payload, "ID", c.ID)), ArrivedAt: s.Clock.Now()}
		if err := s.Uplink.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		s.Command(t, c.ID)
		if _, err := s.Commands.BatchGetLogs(devicetest.As(t, "OPERATOR"), []string{c.ID}, 1000); err != nil {
			t.Fatal(err)
		}
		s.Hear(t, d.ID, device.UpCommandResult, `{"id":%q,"ok":true}`, c.ID)
	})
}
