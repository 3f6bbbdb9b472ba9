package bus

// DisableStreams does what the embedded server does when its disk is full.
func (b *Bus) DisableStreams() error { return b.broker.server.ShutdownJetStream() }
