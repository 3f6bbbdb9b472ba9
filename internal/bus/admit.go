package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	natsjwt "github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const (
	admitSubject = "$SYS.REQ.USER.AUTH"
	admitQueue   = "sluice"
	admitTimeout = 15 * time.Second // of one question, and how long the embedded broker waits
	admitAtOnce  = 64               // questions in work
	admitWaiting = 1 << 16          // questions that wait; more are lost, and the device has to try again
)

// Applicant is who wants to connect.
type Applicant struct {
	User, Password string
	ClientID       string // of MQTT; "" when the broker chose it
}

// Grant is what an applicant may do, as subjects.
type Grant struct {
	Publish, Subscribe []string
}

// Admit lets admit decide who may connect, and as what, until ctx ends; an error refuses. Processes
// with an open Field share the questions. Devices that connect before Admit wait for it.
func (f *Field) Admit(ctx context.Context, admit func(ctx context.Context, who Applicant) (Grant, error)) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	for range admitAtOnce {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-f.asked:
					f.answer(ctx, m, admit)
				}
			}
		})
	}
	<-ctx.Done()
	return nil
}

// listen has the questions wait for Admit.
func (f *Field) listen() error {
	f.asked = make(chan *nats.Msg, admitWaiting)
	if _, err := f.bus.conn.ChanQueueSubscribe(admitSubject, admitQueue, f.asked); err != nil {
		return fmt.Errorf("listen for those who connect: %w", err)
	}
	return nil
}

// answer answers the broker's question. A question that cannot be read is left to run out.
func (f *Field) answer(ctx context.Context, m *nats.Msg, admit func(context.Context, Applicant) (Grant, error)) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	request, err := natsjwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		f.bus.logger.Error("the broker's question who connects cannot be read", "error", err)
		return
	}
	who := Applicant{
		User: request.ConnectOptions.Username, Password: request.ConnectOptions.Password,
		ClientID: request.ClientInformation.MQTT,
	}
	response := natsjwt.NewAuthorizationResponseClaims(request.UserNkey)
	response.Audience = request.Server.ID
	grant, err := Grant{}, errors.New("only devices connect this way")
	if request.ClientInformation.Type == "mqtt" {
		grant, err = admit(ctx, who)
	}
	if err == nil && (len(grant.Publish) == 0 || len(grant.Subscribe) == 0) {
		err = errors.New("nothing was granted") // which the broker would take for everything
	}
	if err == nil {
		response.Jwt, err = f.pass(request.UserNkey, who, grant)
	}
	if err != nil {
		response.Error = err.Error()
	}
	if err := f.respond(m, response, f.issuer); err != nil {
		f.bus.logger.Error("the broker's question who connects cannot be answered", "error", err)
	}
}

// pass is the user that the broker makes of the applicant.
func (f *Field) pass(userKey string, who Applicant, grant Grant) (string, error) {
	user := natsjwt.NewUserClaims(userKey)
	user.Name, user.Audience = who.User, globalAccount
	user.Permissions = natsjwt.Permissions{
		Pub: natsjwt.Permission{Allow: grant.Publish}, Sub: natsjwt.Permission{Allow: grant.Subscribe},
	}
	signed, err := user.Encode(f.issuer)
	if err != nil {
		return "", fmt.Errorf("sign who connects: %w", err)
	}
	return signed, nil
}

func (f *Field) respond(m *nats.Msg, response *natsjwt.AuthorizationResponseClaims, issuer nkeys.KeyPair) error {
	signed, err := response.Encode(issuer)
	if err != nil {
		return fmt.Errorf("sign the answer: %w", err)
	}
	return m.Respond([]byte(signed))
}
