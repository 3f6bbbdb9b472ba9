// The current DOMPurify, with the named exports that Monaco imports from its own old copy.
import purify from 'dompurify';

export const { addHook, removeHook, sanitize } = purify;
