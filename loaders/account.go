package loaders

import "github.com/sluicehq/sluice/bff"

func accounts(port bff.Accounts) Batch[string, *bff.Account] {
	return nodes("account", port.GetAccounts)
}

func apiKeys(port bff.Accounts) Batch[string, *bff.ApiKey] {
	return nodes("API key", port.GetAPIKeys)
}
