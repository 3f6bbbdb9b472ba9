// Command exampleclient starts the built program, follows a subscription, runs a mutation and a query of the example
// service, and fails when one of them is not answered.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const text = "remember the milk"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "exampleclient:", err)
		os.Exit(1)
	}
}

func run() error {
	data, err := os.MkdirTemp("", "sluice-example-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(data) }()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	program := exec.CommandContext(ctx, os.Args[1], "serve", "--demo", "--data", data, "--addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0")
	program.Cancel = func() error { return program.Process.Signal(os.Interrupt) }
	program.WaitDelay, program.Stderr = 10*time.Second, os.Stderr
	out, err := program.StdoutPipe()
	if err != nil {
		return err
	}
	if err := program.Start(); err != nil {
		return err
	}
	defer func() { cancel(); _ = program.Wait() }()
	url, err := addressIn(out)
	if err != nil {
		return err
	}
	var session struct{ Login struct{ AccessToken string } }
	if err := ask(ctx, url, "", `mutation { login(input: {provider: DEMO, code: "alice"}) { accessToken } }`, &session); err != nil {
		return err
	}
	token := session.Login.AccessToken
	events, err := subscribe(ctx, url, token, `subscription { noteAdded { id text } }`)
	if err != nil {
		return err
	}
	var made struct{ AddNote struct{ ID, Text string } }
	if err := ask(ctx, url, token, fmt.Sprintf(`mutation { addNote(text: %q) { id text } }`, text), &made); err != nil {
		return err
	}
	var read struct {
		Note     struct{ Text string }
		Node     struct{ Text string }
		Overview struct{ Degraded []string }
	}
	query := fmt.Sprintf(`{ note(id: %q) { text } node(id: %[1]q) { ... on Note { text } } overview { degraded } }`, made.AddNote.ID)
	if err := ask(ctx, url, token, query, &read); err != nil {
		return err
	}
	if read.Note.Text != text || read.Node.Text != text || len(read.Overview.Degraded) > 0 {
		return fmt.Errorf("the query is answered with %+v", read)
	}
	for line := range events {
		if strings.Contains(line, made.AddNote.ID) && strings.Contains(line, text) {
			return nil
		}
	}
	return fmt.Errorf("the subscription ended without the note")
}

// addressIn finds the address in the first lines that the program prints, and reads the others away.
func addressIn(out io.Reader) (string, error) {
	address := regexp.MustCompile(`http://\S+/graphql\b`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found := address.FindString(lines.Text()); found != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return found, nil
		}
	}
	return "", fmt.Errorf("the program ended before it was ready")
}

func post(ctx context.Context, url, token, accept, document string) (*http.Response, error) {
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", accept)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return http.DefaultClient.Do(request)
}

func ask(ctx context.Context, url, token, document string, data any) error {
	response, err := post(ctx, url, token, "application/json", document)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer := struct {
		Data   any
		Errors []json.RawMessage
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%s is answered with the error %s", document, answer.Errors[0])
	}
	return nil
}

// subscribe returns the lines of an event stream, once the subscription has begun.
func subscribe(ctx context.Context, url, token, document string) (<-chan string, error) {
	response, err := post(ctx, url, token, "text/event-stream", document)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("the subscription is answered with %s", response.Status)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		defer func() { _ = response.Body.Close() }()
		scanner := bufio.NewScanner(response.Body)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines, nil
}
