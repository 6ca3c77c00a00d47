import '../shared/style/tokens.css'
import '../shared/style/base.css'
import 'uplot/dist/uPlot.min.css'
import './ops.css'

import { render } from 'preact'

import { Page } from './page'

render(<Page />, document.getElementById('root')!)
