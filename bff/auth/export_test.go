package auth

// Joined returns the number of sessions that wait for the next call.
func (a *Authenticator) Joined() int {
	a.sessions.mu.Lock()
	defer a.sessions.mu.Unlock()
	if a.sessions.next == nil {
		return 0
	}
	return len(a.sessions.next.uses)
}
