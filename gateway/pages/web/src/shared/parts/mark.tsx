/** The mark of the product: a gate, and what passes through it. The icons of build/icons.ts are the same drawing. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <rect width="64" height="64" rx="15" fill="#0b6e5f" />
      <path d="M17 48V31a15 15 0 0 1 30 0v17" fill="none" stroke="#fff" stroke-width="6.5" stroke-linecap="round" />
      <circle cx="32" cy="36" r="6" fill="#9fe3d2" />
    </svg>
  )
}
