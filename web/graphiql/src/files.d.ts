declare module '*.graphql' {
  const text: string;
  export default text;
}
declare module '*.svg' {
  const text: string;
  export default text;
}
declare module '*.css';
declare module 'monaco-editor/esm/vs/editor/editor.api.js';
