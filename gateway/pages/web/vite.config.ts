/**
 * The pages of one build: /, /app/, /scanner/ and /ops/, with hashed assets below /assets/ that the gateway lets browsers
 * keep for ever. What is worth it is also written gzipped, so that no request compresses anything.
 */
import { gzipSync } from 'node:zlib'

import { defineConfig, type Plugin } from 'vite'

import { icon } from './build/icons.ts'

const COMPRESSED = /\.(html|js|css|svg|wasm|webmanifest)$/
const SHELL_PLACEHOLDER = '__TONG_SHELL__'

/** Icons of the installed application. */
function icons(): Plugin {
  return {
    name: 'tong:icons',
    generateBundle() {
      for (const size of [180, 192, 512]) {
        this.emitFile({ type: 'asset', fileName: `app/icon-${size}.png`, source: icon(size, false) })
      }
      this.emitFile({ type: 'asset', fileName: 'app/icon-maskable-512.png', source: icon(512, true) })
    },
  }
}

/** Tells the service worker which files make up the member page. */
function shell(): Plugin {
  return {
    name: 'tong:shell',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const files = new Set<string>()
      const follow = (name: string) => {
        const found = bundle[name]
        if (files.has(name) || found?.type !== 'chunk') return
        files.add(name)
        found.imports.forEach(follow)
        found.dynamicImports.forEach(follow)
        for (const style of found.viteMetadata?.importedCss ?? []) files.add(style)
      }
      for (const [name, found] of Object.entries(bundle)) {
        if (found.type === 'chunk' && found.isEntry && found.name === 'app') follow(name)
      }
      const worker = bundle['app/worker.js']
      if (worker?.type !== 'chunk') throw new Error('the service worker was not built')
      const listed = [...files].sort().map((name) => `/${name}`)
      worker.code = worker.code.replace(SHELL_PLACEHOLDER, listed.join(' '))
    },
  }
}

function gzipped(): Plugin {
  return {
    name: 'tong:gzipped',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        for (const [name, found] of Object.entries(bundle)) {
          if (!COMPRESSED.test(name)) continue
          const source = found.type === 'chunk' ? found.code : found.source
          this.emitFile({ type: 'asset', fileName: `${name}.gz`, source: gzipSync(source, { level: 9 }) })
        }
      },
    },
  }
}

export default defineConfig({
  appType: 'mpa',
  base: '/',
  plugins: [icons(), shell(), gzipped()],
  build: {
    outDir: process.env.TONG_PAGES_OUT ?? '../built',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // data: addresses would need a wider Content-Security-Policy
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: {
        home: 'index.html',
        app: 'app/index.html',
        scanner: 'scanner/index.html',
        ops: 'ops/index.html',
        worker: 'src/app/worker.ts',
      },
      output: {
        entryFileNames: (chunk) => (chunk.name === 'worker' ? 'app/worker.js' : 'assets/[name]-[hash].js'),
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
})
