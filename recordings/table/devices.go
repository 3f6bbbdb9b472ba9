package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

// labelPrefixes mark a column with one label.
var labelPrefixes = []string{"label:", "label."}

func device(c cells) (recordings.Device, error) {
	d := recordings.Device{Line: c.line}
	var errs [5]error
	d.Key, errs[0] = c.key("key")
	d.Name, errs[1] = c.key("name")
	d.Kind, errs[2] = c.deviceKind()
	d.Labels, errs[3] = c.labels()
	d.Latitude, d.Longitude, errs[4] = c.place()
	if err := first(errs[:]); err != nil {
		return d, err
	}
	if _, keyed := c.at["key"]; !keyed {
		d.Key = d.Name // without keys, devices are identified by their names
	}
	if d.Key == "" {
		return d, errors.New("key is missing")
	}
	if d.Name == "" {
		d.Name = d.Key
	}
	return d, nil
}

func (c cells) deviceKind() (string, error) {
	kinds := []string{recordings.KindGateway, recordings.KindCamera, recordings.KindSensor, recordings.KindVehicle}
	kind := strings.ToUpper(c.text("kind"))
	if !slices.Contains(kinds, kind) {
		return "", fmt.Errorf("kind %s is none of %s", value.Quote(kind), strings.Join(kinds, ", "))
	}
	return kind, nil
}

func (c cells) place() (latitude, longitude *float64, err error) {
	if c.text("latitude") == "" && c.text("longitude") == "" {
		return nil, nil, nil
	}
	p, err := c.position("latitude", "longitude")
	return &p.Latitude, &p.Longitude, err
}

func (c cells) labels() (map[string]string, error) {
	labels := map[string]string{}
	if text := c.text("labels"); text != "" {
		if err := labelsFromJSON(text, labels); err != nil {
			return nil, err
		}
	}
	for i, header := range c.raw {
		name, ok := labelOf(header)
		if content := strings.TrimSpace(c.values[i]); ok && content != "" {
			if err := addLabel(labels, name, content); err != nil {
				return nil, err
			}
		}
	}
	return labels, nil
}

func labelOf(header string) (name string, ok bool) {
	for _, prefix := range labelPrefixes {
		if name, ok := strings.CutPrefix(header, prefix); ok {
			return name, true
		}
	}
	return "", false
}

func labelsFromJSON(text string, labels map[string]string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return fmt.Errorf("labels %s are not a JSON object", value.Quote(text))
	}
	for name, member := range members {
		if member[0] == '{' || member[0] == '[' {
			return fmt.Errorf("label %s is not a string", value.Quote(name))
		}
		if err := addLabel(labels, name, value.FromJSON(member)); err != nil {
			return err
		}
	}
	return nil
}

func addLabel(labels map[string]string, name, content string) error {
	name, nameErr := value.Text(name)
	content, contentErr := value.Text(content)
	if err := first([]error{nameErr, contentErr}); err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if name == "" {
		return errors.New("a label has no name")
	}
	labels[name] = content
	return nil
}
