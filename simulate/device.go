package simulate

import (
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/sluicehq/sluice/testdata"
)

// key is what the readings are kept under.
const key = "temperature"

const (
	inFlight      = 20 // messages of one device that wait for their acknowledgement
	deviceTimeout = 30 * time.Second
	keepAlive     = time.Minute
)

// gadget is a simulated device.
type gadget struct {
	id, secret string
	client     mqtt.Client
	flying     chan struct{} // holds a value for each message that waits
	last       time.Time     // of its last reading
}

func (d *gadget) connect(ctx context.Context, addr string, lost func()) error {
	d.flying = make(chan struct{}, inFlight)
	options := mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetProtocolVersion(4).
		SetClientID(d.id).SetUsername(d.id).SetPassword(d.secret).SetCleanSession(true).
		SetKeepAlive(keepAlive).SetConnectTimeout(deviceTimeout).SetOrderMatters(false).
		SetConnectionLostHandler(func(mqtt.Client, error) { lost() })
	d.client = mqtt.NewClient(options)
	if err := until(ctx, d.client.Connect()); err != nil {
		return fmt.Errorf("connect %s: %w", d.id, err)
	}
	return nil
}

// until waits for what the client was told to do.
func until(ctx context.Context, token mqtt.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(deviceTimeout):
		return fmt.Errorf("no answer after %v", deviceTimeout)
	}
}

func (d *gadget) disconnect() {
	if d.client != nil {
		d.client.Disconnect(100)
	}
}

// message is n readings from the recording's i-th on, the times of which end now.
func (d *gadget) message(values []float64, i, n int, now time.Time) []byte {
	text := []byte{'['}
	for j := range n {
		at := now.Add(time.Duration(j-n+1) * time.Millisecond).Truncate(time.Microsecond)
		if !at.After(d.last) { // a reading is its time and value: no two may be the same
			at = d.last.Add(time.Microsecond)
		}
		d.last = at
		if j > 0 {
			text = append(text, ',')
		}
		text = append(text, `{"at":"`...)
		text = at.UTC().AppendFormat(text, time.RFC3339Nano)
		text = append(text, `","values":{"`+key+`":`...)
		text = strconv.AppendFloat(text, values[(i+j)%len(values)], 'g', -1, 64)
		text = append(text, "}}"...)
	}
	return append(text, ']')
}

// send publishes with quality of service 1. It waits while too many messages wait for their
// acknowledgement; acknowledged is called with each.
func (d *gadget) send(ctx context.Context, payload []byte, acknowledged func()) error {
	select {
	case d.flying <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	token := d.client.Publish("devices/"+d.id+"/telemetry", 1, false, payload)
	go func() {
		defer func() { <-d.flying }()
		if token.WaitTimeout(deviceTimeout) && token.Error() == nil {
			acknowledged()
		}
	}()
	return nil
}

// wait waits until no message waits for its acknowledgement.
func (d *gadget) wait(ctx context.Context) error {
	for range inFlight {
		select {
		case d.flying <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// recording is the values of a machine's temperature until it failed.
func recording() ([]float64, error) {
	file, err := testdata.Files.Open("telemetry/machine-temperature.csv")
	if err != nil {
		return nil, fmt.Errorf("open the recording: %w", err)
	}
	defer func() { _ = file.Close() }() // was only read
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the recording: %w", err)
	}
	values := make([]float64, 0, len(rows))
	for _, row := range rows[1:] {
		value, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			return nil, fmt.Errorf("read the recording: %w", err)
		}
		values = append(values, value)
	}
	return values, nil
}
