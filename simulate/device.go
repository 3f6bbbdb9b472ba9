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

// key is the telemetry key of the readings.
const key = "temperature"

const (
	inFlight      = 20 // unacknowledged messages of one device
	deviceTimeout = 30 * time.Second
	keepAlive     = time.Minute
)

// device is a simulated device.
type device struct {
	id, secret string
	client     mqtt.Client
	slots      chan struct{} // semaphore with one slot per unacknowledged message
	last       time.Time     // of its last reading
}

func (d *device) connect(ctx context.Context, addr string, lost func()) error {
	d.slots = make(chan struct{}, inFlight)
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

func (d *device) disconnect() {
	if d.client != nil {
		d.client.Disconnect(100)
	}
}

// message encodes n readings of the recording, from index i. The last reading has the current time.
func (d *device) message(values []float64, i, n int, now time.Time) []byte {
	text := []byte{'['}
	for j := range n {
		at := now.Add(time.Duration(j-n+1) * time.Millisecond).Truncate(time.Microsecond)
		if !at.After(d.last) { // time and value identify a reading: duplicates would be deduplicated
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

// send publishes a message with quality of service 1. It waits for a slot while too many messages are
// unacknowledged. It calls acknowledged for each acknowledgement.
func (d *device) send(ctx context.Context, payload []byte, acknowledged func()) error {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	token := d.client.Publish("devices/"+d.id+"/telemetry", 1, false, payload)
	go func() {
		defer func() { <-d.slots }()
		if token.WaitTimeout(deviceTimeout) && token.Error() == nil {
			acknowledged()
		}
	}()
	return nil
}

func (d *device) wait(ctx context.Context) error {
	for range inFlight {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func recording() ([]float64, error) {
	file, err := testdata.Files.Open("telemetry/machine-temperature.csv")
	if err != nil {
		return nil, fmt.Errorf("open the recording: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
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
