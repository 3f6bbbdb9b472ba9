package harness

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

// Vars are the variables of an operation.
type Vars map[string]any

// Response is a GraphQL response with its HTTP status.
type Response struct {
	Status int             `json:"-"`
	Data   json.RawMessage `json:"data"`
	Errors []GraphQLError  `json:"errors"`
}

// GraphQLError is one error of a response.
type GraphQLError struct {
	Message    string `json:"message"`
	Path       []any  `json:"path"`
	Extensions struct {
		Code         string `json:"code"`
		Reason       string `json:"reason"`
		Service      string `json:"service"`
		Retryable    bool   `json:"retryable"`
		RequestID    string `json:"requestId"`
		RetryAfterMs int64  `json:"retryAfterMs"`
	} `json:"extensions"`
}

func (p GraphQLError) String() string {
	return fmt.Sprintf("%s %s %s at %v: %s", p.Extensions.Service, p.Extensions.Code, p.Extensions.Reason, p.Path, p.Message)
}

// PathString returns the path with dots, as in "trips.nodes.0.vehicle".
func (p GraphQLError) PathString() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Path), "[]"), " ", ".")
}

// Post sends an operation. The token is an access token or an API key; "" sends no credentials.
func (p *Program) Post(ctx context.Context, token, query string, variables Vars) (Response, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return Response{}, err
	}
	return p.PostBody(ctx, token, body)
}

// PostBody sends the body of a GraphQL request.
func (p *Program) PostBody(ctx context.Context, token string, body []byte) (Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return Response{}, err
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
		return Response{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return Response{}, err
	}
	a := Response{Status: response.StatusCode}
	if err := json.Unmarshal(text, &a); err != nil {
		return Response{}, fmt.Errorf("the response (%s) is not JSON: %w: %.300s", response.Status, err, text)
	}
	return a, nil
}

// Execute returns the response to an operation, with or without errors.
func (p *Program) Execute(t *testing.T, token, query string, variables Vars) Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	defer cancel()
	a, err := p.Post(ctx, token, query, variables)
	if err != nil {
		t.Fatalf("execute %.100s: %v", query, err)
	}
	return a
}

// Query returns the data of an operation. An error in the response fails the test.
func Query[T any](t *testing.T, p *Program, token, query string, variables Vars) T {
	t.Helper()
	return Data[T](t, p.Execute(t, token, query, variables))
}

// Data decodes the data of a response. An error in the response fails the test.
func Data[T any](t *testing.T, a Response) T {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatalf("the response has errors: %v", a.Errors)
	}
	return PartialData[T](t, a)
}

// PartialData decodes the data of a response, with or without errors.
func PartialData[T any](t *testing.T, a Response) (data T) {
	t.Helper()
	if err := json.Unmarshal(a.Data, &data); err != nil {
		t.Fatalf("read the data: %v: %.300s", err, a.Data)
	}
	return data
}

// RequireError returns the only error of a response, after a check of its code and reason.
func RequireError(t *testing.T, a Response, code, reason string) GraphQLError {
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

// SignIn returns an access token of a demo identity: admin, operator, alice or bob.
func (p *Program) SignIn(t *testing.T, code string) string {
	t.Helper()
	return p.NewSession(t, code).AccessToken
}

// Session is the pair of tokens of a sign-in.
type Session struct{ AccessToken, RefreshToken string }

// NewSession signs a demo identity in.
func (p *Program) NewSession(t *testing.T, code string) Session {
	t.Helper()
	const login = `mutation($code: String!) { login(input: {provider: DEMO, code: $code}) { accessToken refreshToken } }`
	return Query[struct{ Login Session }](t, p, "", login, Vars{"code": code}).Login
}

// Get sends a GET request for the path to the gateway.
func (p *Program) Get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
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

// SpendPoints sends a document of one point, without credentials, as many times as given. It returns the number of
// successes; the others must be refused with BUDGET_EXHAUSTED.
func SpendPoints(t *testing.T, p *Program, document string, times int) (answered int) {
	t.Helper()
	for range times {
		a := p.Execute(t, "", document, nil)
		switch a.Status {
		case http.StatusOK:
			answered++
		case http.StatusTooManyRequests:
			if e := RequireError(t, a, "RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED"); !e.Extensions.Retryable {
				t.Error("the refusal is not worth another try")
			}
		default:
			t.Fatalf("answered %d %+v", a.Status, a)
		}
	}
	return answered
}
