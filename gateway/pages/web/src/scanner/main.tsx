import '../shared/style/tokens.css'
import '../shared/style/base.css'
import './scanner.css'

import { render } from 'preact'

import { Page } from './page'
import { open } from './till'

render(<Page />, document.getElementById('root')!)
void open()
