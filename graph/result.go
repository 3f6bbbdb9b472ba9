package graph

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
)

// AppendResult appends the execution result as the specification defines it: without data the operation did not run.
// The data are not parsed. Data that are no object are an error, and the buffer is returned unchanged.
func AppendResult(buffer []byte, response *graphql.Response, ran bool) ([]byte, error) {
	out := append(buffer, '{')
	if len(response.Errors) > 0 {
		text, err := json.Marshal(response.Errors)
		if err != nil {
			return buffer, fmt.Errorf("encode the errors: %w", err)
		}
		out = append(append(out, `"errors":`...), text...)
	}
	if ran {
		if len(response.Errors) > 0 {
			out = append(out, ',')
		}
		data := []byte(response.Data)
		switch {
		case len(data) == 0:
			data = []byte("null")
		case string(data) != "null" && !(data[0] == '{' && data[len(data)-1] == '}'):
			return buffer, errors.New("the data are no object")
		}
		out = append(append(out, `"data":`...), data...)
	}
	if len(response.Extensions) > 0 {
		text, err := json.Marshal(response.Extensions)
		if err != nil {
			return buffer, fmt.Errorf("encode the extensions: %w", err)
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(append(out, `"extensions":`...), text...)
	}
	return append(out, '}'), nil
}
