package bff

import (
	"encoding/json"
	"fmt"
)

// Labels decodes an object of strings; nil for none. A null value is an error.
func Labels(v JSON) (map[string]string, error) {
	if len(v) == 0 || string(v) == "null" {
		return nil, nil
	}
	var pairs map[string]*string
	if err := json.Unmarshal(v, &pairs); err != nil {
		return nil, err
	}
	labels := make(map[string]string, len(pairs))
	for key, value := range pairs {
		if value == nil {
			return nil, fmt.Errorf("%.80q is null", key)
		}
		labels[key] = *value
	}
	return labels, nil
}
