package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

type vars map[string]any

// answer is a response in GraphQL's form.
type answer struct {
	Status int             `json:"-"`
	Data   json.RawMessage `json:"data"`
	Errors []problem       `json:"errors"`
}

// problem is one error of an answer.
type problem struct {
	Message    string `json:"message"`
	Path       []any  `json:"path"`
	Extensions struct {
		Code      string `json:"code"`
		Reason    string `json:"reason"`
		Service   string `json:"service"`
		Retryable bool   `json:"retryable"`
		RequestID string `json:"requestId"`
	} `json:"extensions"`
}

func (p problem) String() string {
	return fmt.Sprintf("%s %s %s at %v: %s", p.Extensions.Service, p.Extensions.Code, p.Extensions.Reason, p.Path, p.Message)
}

// place is the path with dots, as in "trips.nodes.0.vehicle".
func (p problem) place() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Path), "[]"), " ", ".")
}

// post sends an operation. The token is an access token or an API key, or "" for nobody.
func (p *program) post(ctx context.Context, token, query string, variables vars) (answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return answer{}, err
	}
	return p.postBody(ctx, token, body)
}

func (p *program) postBody(ctx context.Context, token string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	switch {
	case strings.HasPrefix(token, "sluice_"):
		request.Header.Set("X-API-Key", token)
	case token != "":
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: response.StatusCode}
	if err := json.Unmarshal(text, &a); err != nil {
		return answer{}, fmt.Errorf("the answer (%s) is no JSON: %w: %.300s", response.Status, err, text)
	}
	return a, nil
}

// graphql sends an operation and takes any answer.
func (p *program) graphql(t *testing.T, token, query string, variables vars) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := p.post(ctx, token, query, variables)
	if err != nil {
		t.Fatalf("ask %.100s: %v", query, err)
	}
	return a
}

// ask sends an operation that must be answered without an error.
func ask[T any](t *testing.T, p *program, token, query string, variables vars) T {
	t.Helper()
	return read[T](t, p.graphql(t, token, query, variables))
}

// read takes the data of an answer that must be without an error.
func read[T any](t *testing.T, a answer) T {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatalf("the answer has errors: %v", a.Errors)
	}
	return partly[T](t, a)
}

// partly takes the data of an answer that may have errors too.
func partly[T any](t *testing.T, a answer) (data T) {
	t.Helper()
	if err := json.Unmarshal(a.Data, &data); err != nil {
		t.Fatalf("read the data: %v: %.300s", err, a.Data)
	}
	return data
}

// refusal is the only error of an answer; its code and reason must be these.
func refusal(t *testing.T, a answer, code, reason string) problem {
	t.Helper()
	if len(a.Errors) != 1 {
		t.Fatalf("%d errors, want one with %s %s: %v %.300s", len(a.Errors), code, reason, a.Errors, a.Data)
	}
	got := a.Errors[0]
	if got.Extensions.Code != code || got.Extensions.Reason != reason {
		t.Errorf("refused with %v, want %s %s", got, code, reason)
	}
	return got
}

// signIn gives an access token of a demo identity.
func (p *program) signIn(t *testing.T, code string) string {
	t.Helper()
	return p.session(t, code).AccessToken
}

type session struct{ AccessToken, RefreshToken string }

func (p *program) session(t *testing.T, code string) session {
	t.Helper()
	const login = `mutation($code: String!) { login(input: {provider: DEMO, code: $code}) { accessToken refreshToken } }`
	return ask[struct{ Login session }](t, p, "", login, vars{"code": code}).Login
}

// get fetches a page of the program.
func (p *program) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	return response.StatusCode, string(text)
}
