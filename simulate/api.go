package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	perBatch   = 20 // mutations per document
	page       = 50 // devices per document that counts readings
	atOnce     = 4  // concurrent documents
	maxAnswer  = 8 << 20
	apiTimeout = 30 * time.Second
)

// api is a client of the GraphQL API with one credential.
type api struct {
	url           string
	header, value string // the credential
	client        *http.Client
	begun         time.Time
}

func dial(ctx context.Context, o Options) (*api, error) {
	a := &api{url: strings.TrimSuffix(o.URL, "/") + "/graphql", client: &http.Client{Timeout: apiTimeout}, begun: time.Now()}
	if o.APIKey != "" {
		a.header, a.value = "X-API-Key", o.APIKey
		return a, nil
	}
	var signed struct {
		Login struct {
			AccessToken string `json:"accessToken"`
		} `json:"login"`
	}
	err := a.execute(ctx, `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`, nil, &signed)
	if err != nil {
		return nil, fmt.Errorf("sign in as the demo's administrator; without --demo, give an API key: %w", err)
	}
	a.header, a.value = "Authorization", "Bearer "+signed.Login.AccessToken
	return a, nil
}

// refusal is an error of the API.
type refusal struct {
	Message    string `json:"message"`
	Extensions struct {
		Code         string `json:"code"`
		RetryAfterMs int    `json:"retryAfterMs"`
	} `json:"extensions"`
}

// execute sends an operation. It retries once when the error has a retry delay.
func (a *api) execute(ctx context.Context, query string, variables map[string]any, into any) error {
	for {
		refused, err := a.once(ctx, query, variables, into)
		if err != nil || refused == nil {
			return err
		}
		if refused.Extensions.Code != "RESOURCE_EXHAUSTED" || refused.Extensions.RetryAfterMs == 0 {
			return errors.New(refused.Message)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(refused.Extensions.RetryAfterMs) * time.Millisecond):
		}
	}
}

func (a *api) once(ctx context.Context, query string, variables map[string]any, into any) (*refusal, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, fmt.Errorf("write the question: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if a.header != "" {
		request.Header.Set(a.header, a.value)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // nothing was written
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []refusal       `json:"errors"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the API's answer: %w", err)
	}
	if len(answer.Errors) > 0 {
		return &answer.Errors[0], nil
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return nil, fmt.Errorf("read the API's answer: %w", err)
	}
	return nil, nil
}

func (a *api) register(ctx context.Context, n int) ([]*device, error) {
	var mu sync.Mutex
	var made []*device
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for from := 0; from < n; from += perBatch {
		group.Go(func() error {
			var document strings.Builder
			document.WriteString("mutation {")
			for i := from; i < min(n, from+perBatch); i++ {
				fmt.Fprintf(&document, ` d%d: registerDevice(input: {name: "Simulated %d", kind: SENSOR, labels: {simulated: "yes"}}) { secret device { id } }`, i, i+1)
			}
			var answer map[string]struct {
				Secret string `json:"secret"`
				Device struct {
					ID string `json:"id"`
				} `json:"device"`
			}
			err := a.execute(ctx, document.String()+" }", nil, &answer)
			mu.Lock()
			defer mu.Unlock()
			for _, d := range answer {
				made = append(made, &device{id: d.Device.ID, secret: d.Secret})
			}
			return err
		})
	}
	err := group.Wait()
	if err != nil {
		err = fmt.Errorf("register devices: %w", err)
	}
	return made, err
}

func (a *api) remove(ctx context.Context, devices []*device) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for from := 0; from < len(devices); from += perBatch {
		group.Go(func() error {
			var document strings.Builder
			document.WriteString("mutation {")
			for i, d := range devices[from:min(len(devices), from+perBatch)] {
				fmt.Fprintf(&document, ` d%d: deleteDevice(id: "%s")`, i, d.id)
			}
			return a.execute(ctx, document.String()+" }", nil, &map[string]string{})
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("delete the simulated devices: %w", err)
	}
	return nil
}

func (a *api) count(ctx context.Context, devices []*device) (int64, error) {
	var total float64
	for from := 0; from < len(devices); from += page {
		var ids []string
		for _, d := range devices[from:min(len(devices), from+page)] {
			ids = append(ids, d.id)
		}
		var answer struct {
			Nodes []struct {
				Telemetry []struct {
					Points []struct {
						Value float64 `json:"value"`
					} `json:"points"`
				} `json:"telemetry"`
			} `json:"nodes"`
		}
		err := a.execute(ctx, `query($ids: [ID!]!, $from: DateTime!, $to: DateTime!) { nodes(ids: $ids) { ... on Device {
			telemetry(keys: ["`+key+`"], from: $from, to: $to, stepSeconds: 86400, aggregate: COUNT) { points { value } } } } }`,
			map[string]any{"ids": ids, "from": a.begun.Add(-time.Hour), "to": time.Now().Add(time.Hour)}, &answer)
		if err != nil {
			return 0, fmt.Errorf("count what is stored: %w", err)
		}
		for _, node := range answer.Nodes {
			for _, series := range node.Telemetry {
				for _, point := range series.Points {
					total += point.Value
				}
			}
		}
	}
	return int64(total), nil
}

// dashboard executes the query of a dashboard: the overview, and devices with their last minutes of telemetry.
func (a *api) dashboard(ctx context.Context) error {
	now := time.Now()
	return a.execute(ctx, `query($from: DateTime!, $to: DateTime!) {
		overview { devices { total online offline unknown } }
		devices(first: 10, orderBy: NEWEST) { nodes { name presence lastSeenAt
			telemetry(keys: ["`+key+`"], from: $from, to: $to, stepSeconds: 10) { points { at value } } } } }`,
		map[string]any{"from": now.Add(-5 * time.Minute), "to": now}, &struct{}{})
}
