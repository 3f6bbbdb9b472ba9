package fitbit

import (
	"bytes"
	"encoding/json"
)

// These functions decompose validated JSON.

// first returns the first byte of a value; 0 without a value.
func first(raw json.RawMessage) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

func elements(n node) []node {
	var all []node
	inside(n, func(d *json.Decoder) error {
		element, err := decode(n, d)
		all = append(all, element)
		return err
	})
	return all
}

func members(n node) map[string]node {
	all := map[string]node{}
	inside(n, func(d *json.Decoder) error {
		name, err := d.Token()
		if err != nil {
			return err
		}
		member, err := decode(n, d)
		all[name.(string)] = member
		return err
	})
	return all
}

func inside(n node, next func(d *json.Decoder) error) {
	d := json.NewDecoder(bytes.NewReader(n.raw))
	if _, err := d.Token(); err != nil {
		return
	}
	for d.More() {
		if err := next(d); err != nil {
			return
		}
	}
}

func decode(within node, d *json.Decoder) (node, error) {
	var raw json.RawMessage
	err := d.Decode(&raw)
	return node{raw: raw, at: within.at + int(d.InputOffset()) - len(raw)}, err
}
