package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account/signing"
)

var _ signing.Store = (*Store)(nil)

const signingKeys = "signing_keys"

// SealedKeys names the sealed columns, for sqldb.DB.SealAll.
func SealedKeys() sqldb.Sealed {
	return sqldb.Sealed{Table: signingKeys, ID: "CAST(number AS TEXT)", Columns: []string{"pem"}}
}

func placeOfKey(number int64) string {
	return sqldb.Place(signingKeys, "pem", strconv.FormatInt(number, 10))
}

// SigningKeys implements signing.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]signing.StoredKey, error) {
	keys, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (signing.StoredKey, error) {
		var key signing.StoredKey
		var signsFrom int64
		if err := row.Scan(&key.Number, &key.ID, &key.PEM, &signsFrom); err != nil {
			return key, err
		}
		key.SignsFrom = sqldb.Time(signsFrom)
		var err error
		key.PEM, err = s.db.Unseal(placeOfKey(key.Number), key.PEM)
		return key, err
	}, `SELECT number, kid, pem, signs_from FROM signing_keys ORDER BY number`)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	return keys, nil
}

// AddSigningKey implements signing.Store.
func (s *Store) AddSigningKey(ctx context.Context, key signing.StoredKey) (added bool, err error) {
	sealed, err := s.db.Seal(placeOfKey(key.Number), key.PEM)
	if err != nil {
		return false, err
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		added, err = sqldb.Affects(tx.ExecContext(ctx, `INSERT INTO signing_keys (number, kid, pem, signs_from) VALUES ($1, $2, $3, $4)
			ON CONFLICT DO NOTHING`, key.Number, key.ID, sealed, sqldb.Micros(key.SignsFrom)))
		return err
	})
	return added, err
}

// DeleteSigningKey implements signing.Store.
func (s *Store) DeleteSigningKey(ctx context.Context, number int64) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM signing_keys WHERE number = $1`, number)
		return err
	})
}
